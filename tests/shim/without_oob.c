// SPDX-License-Identifier: MIT
//
// Runs a command where no socket takes or gives urgent data, as some sandboxes and kernels have it:
// calls with MSG_OOB answer EOPNOTSUPP.
//
// usage: without_oob COMMAND [ARGUMENT...]

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/shim/check.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE_IF_OOB(call, flags)                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4), LOAD(args[flags]),                            \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_OOB, 0, 1),                                       \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),                                 \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(int argc, char** argv) {
    EXPECT(argc >= 2, "usage: without_oob COMMAND [ARGUMENT...]");
    struct sock_filter filter[] = {
        LOAD(nr),
        REFUSE_IF_OOB(SYS_sendto, 3),
        REFUSE_IF_OOB(SYS_recvfrom, 3),
        REFUSE_IF_OOB(SYS_sendmsg, 2),
        REFUSE_IF_OOB(SYS_recvmsg, 2),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        SKIP("no seccomp here: %s", strerror(errno));
    }
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST_FAIL(send(pair[0], "", 1, MSG_OOB), EOPNOTSUPP);
    EXPECT(send(pair[0], "", 1, 0) == 1, "ordinary data is refused too");
    close(pair[0]);
    close(pair[1]);
    execvp(argv[1], argv + 1);
    FAIL("%s: %s", argv[1], strerror(errno));
}
