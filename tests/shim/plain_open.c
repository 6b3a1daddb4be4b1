// SPDX-License-Identifier: MIT
//
// Says what open() of a path answers, and whose program it is: one line
// `ERRNO EUID ENVIRONMENT`, ENVIRONMENT 1 when an LD_PRELOAD is left in it. No other output, so
// that it may be linked statically, or run as another user.
//
// usage: plain_open NODE

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    const int fd = open(argv[1], O_RDWR);
    struct v4l2_capability capability;
    const int error = fd < 0 || ioctl(fd, VIDIOC_QUERYCAP, &capability) < 0 ? errno : 0;
    printf("%d %u %d\n", error, geteuid(), getenv("LD_PRELOAD") != NULL);
    return 0;
}
