// SPDX-License-Identifier: MIT
//
// Ways to find a camera and to open it, and files that only look like one.

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/shim/camera.h"
#include "tests/shim/check.h"
#include "tests/shim/traps.h"

// What glibc makes of open() in programs with _FORTIFY_SOURCE.
int __open_2(const char*, int);
int __open64_2(const char*, int);
int __openat_2(int, const char*, int);
int __openat64_2(int, const char*, int);

enum { openers = 8 };

static int open_by(int way, const char* path, int flags, mode_t mode) {
    switch (way) {
    case 0:
        return open(path, flags, mode);
    case 1:
        return open64(path, flags, mode);
    case 2:
        return openat(AT_FDCWD, path, flags, mode);
    case 3:
        return openat64(AT_FDCWD, path, flags, mode);
    case 4:
        return __open_2(path, flags);
    case 5:
        return __open64_2(path, flags);
    case 6:
        return __openat_2(AT_FDCWD, path, flags);
    default:
        return __openat64_2(AT_FDCWD, path, flags);
    }
}

static void expect_camera(int fd, const char* how) {
    EXPECT(fd >= 0, "%s: %s", how, strerror(errno));
    EXPECT(camera_asks(fd) == 0, "%s: QUERYCAP: %s", how, strerror(camera_asks(fd)));
    MUST(close(fd));
}

static void opened_by_each_function(const char* node) {
    for (int way = 0; way < openers; ++way) {
        char how[32];
        snprintf(how, sizeof(how), "way %d", way);
        expect_camera(open_by(way, node, O_RDWR | O_CLOEXEC, 0), how);
        expect_camera(open_by(way, node, O_RDONLY | O_NONBLOCK, 0), how);
    }
    static const char* const modes[] = {"r", "r+", "re"};
    for (int i = 0; i < 3; ++i) {
        FILE* file = i % 2 ? fopen64(node, modes[i]) : fopen(node, modes[i]);
        EXPECT(file != NULL, "fopen %s: %s", modes[i], strerror(errno));
        EXPECT(camera_asks(fileno(file)) == 0, "fopen %s: QUERYCAP: %s", modes[i],
               strerror(camera_asks(fileno(file))));
        EXPECT(fclose(file) == 0, "fclose: %s", strerror(errno));
    }
    // A camera that is there cannot be made.
    MUST_FAIL(open(node, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    MUST_FAIL(open(node, O_RDONLY | O_DIRECTORY), ENOTDIR);
}

// The flags are those of the open().
static void flags_are_kept(const char* node) {
    const int fd = MUST(open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    EXPECT(MUST(fcntl(fd, F_GETFD)) == FD_CLOEXEC, "O_CLOEXEC was lost");
    EXPECT((MUST(fcntl(fd, F_GETFL)) & O_NONBLOCK), "O_NONBLOCK was lost");
    MUST(close(fd));
    const int plain = MUST(open(node, O_RDWR));
    EXPECT(MUST(fcntl(plain, F_GETFD)) == 0, "O_CLOEXEC came from nowhere");
    EXPECT(!(MUST(fcntl(plain, F_GETFL)) & O_NONBLOCK), "O_NONBLOCK came from nowhere");
    // What is said later counts.
    struct camera camera = camera_start_file(plain);
    for (unsigned left = camera.count; left > 0; --left) {
        camera_next(&camera);
    }
    MUST(fcntl(plain, F_SETFL, O_NONBLOCK));
    struct v4l2_buffer buffer = camera_buffer(0);
    MUST_FAIL(ioctl(plain, VIDIOC_DQBUF, &buffer), EAGAIN);
    camera_stop(&camera);
}

static void expect_mode(int fd, mode_t mode, const char* how, int way) {
    EXPECT(fd >= 0, "%s, way %d: %s", how, way, strerror(errno));
    struct stat status;
    MUST(fstat(fd, &status));
    EXPECT((status.st_mode & 07777) == mode, "%s, way %d: mode %o, expected %o", how, way,
           status.st_mode & 07777, mode);
    MUST(close(fd));
}

// The third argument is there for O_CREAT and for O_TMPFILE.
static void mode_is_passed(const char* node) {
    (void)node;
    char folder[] = "/tmp/traps-XXXXXX";
    EXPECT(mkdtemp(folder) != NULL, "mkdtemp: %s", strerror(errno));
    char path[64];
    snprintf(path, sizeof(path), "%s/file", folder);
    umask(0);
    for (int way = 0; way < 4; ++way) {
        expect_mode(open_by(way, path, O_CREAT | O_EXCL | O_RDWR, 0641), 0641, "O_CREAT", way);
        MUST(unlink(path));
        const int fd = open_by(way, folder, O_TMPFILE | O_RDWR, 0642);
        if (fd < 0 && errno == EOPNOTSUPP) {
            continue;
        }
        expect_mode(fd, 0642, "O_TMPFILE", way);
    }
    expect_mode(creat(path, 0643), 0643, "creat", 0);
    MUST(unlink(path));
    MUST(rmdir(folder));
}

// A fortified open() that would create a file without a mode ends the program, as ever.
static void fortified_create_aborts(const char* node) {
    (void)node;
    for (int way = 4; way < openers; ++way) {
        const pid_t child = MUST(fork());
        if (child == 0) {
            const int null = MUST(open("/dev/null", O_RDWR));
            MUST(dup2(null, 2));
            volatile int flags = O_CREAT | O_RDWR;
            open_by(way, "/dev/null", flags, 0);
            _exit(0);
        }
        int status = 0;
        MUST(waitpid(child, &status, 0));
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
               "way %d with O_CREAT ended with %#x, expected SIGABRT", way, status);
    }
}

static void split(const char* node, char* folder, size_t size, const char** name) {
    snprintf(folder, size, "%s", node);
    char* slash = strrchr(folder, '/');
    EXPECT(slash != NULL && slash > folder, "%s is no path", node);
    *slash = '\0';
    *name = strrchr(node, '/') + 1;
}

static void opened_by_other_paths(const char* node) {
    char folder[64], path[256];
    const char* name;
    split(node, folder, sizeof(folder), &name);
    snprintf(path, sizeof(path), "%s//./%s", folder, name);
    expect_camera(open(path, O_RDWR), path);
    snprintf(path, sizeof(path), "%s/../%s/%s", folder, folder, name);
    expect_camera(open(path, O_RDWR), path);
    const int directory = MUST(open(folder, O_RDONLY | O_DIRECTORY));
    expect_camera(openat(directory, name, O_RDWR), "openat");
    MUST(close(directory));
    char before[256];
    EXPECT(getcwd(before, sizeof(before)) != NULL, "getcwd: %s", strerror(errno));
    MUST(chdir(folder));
    expect_camera(open(name, O_RDWR), "a relative path");
    MUST(chdir(before));
    // As /dev/v4l/by-id and by-path have them, and a link to a link.
    char links[] = "/tmp/traps-XXXXXX";
    EXPECT(mkdtemp(links) != NULL, "mkdtemp: %s", strerror(errno));
    char first[64], second[64];
    snprintf(first, sizeof(first), "%s/first", links);
    snprintf(second, sizeof(second), "%s/second", links);
    MUST(symlink(node, first));
    MUST(symlink("first", second));
    expect_camera(open(first, O_RDWR), "a link");
    expect_camera(open(second, O_RDWR), "a link to a link");
    MUST_FAIL(open(first, O_RDWR | O_NOFOLLOW), ELOOP);
    MUST(unlink(first));
    MUST(unlink(second));
    MUST(rmdir(links));
    char* real = realpath(path, NULL);
    EXPECT(real != NULL && strcmp(real, node) == 0, "realpath of %s says %s", path,
           real ? real : strerror(errno));
    free(real);
}

// Names that begin or end alike, and a file of that name elsewhere.
static void others_are_not_taken(const char* node) {
    char path[256];
    snprintf(path, sizeof(path), "%s0", node);
    MUST_FAIL(open(path, O_RDWR), ENOENT);
    snprintf(path, sizeof(path), "%sx", node);
    MUST_FAIL(open(path, O_RDWR), ENOENT);
    snprintf(path, sizeof(path), "%s/", node);
    MUST_FAIL(open(path, O_RDWR), ENOTDIR);
    char folder[] = "/tmp/traps-XXXXXX";
    EXPECT(mkdtemp(folder) != NULL, "mkdtemp: %s", strerror(errno));
    snprintf(path, sizeof(path), "%s/%s", folder, strrchr(node, '/') + 1);
    const int fd = MUST(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    EXPECT(camera_asks(fd) == ENOTTY, "a regular file of that name is a camera");
    MUST(close(fd));
    MUST(unlink(path));
    MUST(rmdir(folder));
    const int null = MUST(open("/dev/null", O_RDWR));
    EXPECT(camera_asks(null) == ENOTTY, "/dev/null is a camera");
    MUST(close(null));
}

static void expect_node(const struct stat* status, dev_t rdev, const char* how) {
    EXPECT(S_ISCHR(status->st_mode) && status->st_rdev == rdev, "%s says mode %o, device %u:%u",
           how, status->st_mode, major(status->st_rdev), minor(status->st_rdev));
}

static void status_is_a_nodes(const char* node) {
    struct stat status;
    MUST(stat(node, &status));
    EXPECT(S_ISCHR(status.st_mode) && major(status.st_rdev) == 81, "stat says mode %o, major %u",
           status.st_mode, major(status.st_rdev));
    const dev_t rdev = status.st_rdev;
    MUST(lstat(node, &status));
    expect_node(&status, rdev, "lstat");
    MUST(fstatat(AT_FDCWD, node, &status, 0));
    expect_node(&status, rdev, "fstatat");
    struct stat64 status64;
    MUST(stat64(node, &status64));
    EXPECT(S_ISCHR(status64.st_mode) && status64.st_rdev == rdev, "stat64 says mode %o",
           status64.st_mode);
    const int fd = MUST(open(node, O_RDWR));
    MUST(fstat(fd, &status));
    expect_node(&status, rdev, "fstat");
    MUST(fstat64(fd, &status64));
    EXPECT(S_ISCHR(status64.st_mode) && status64.st_rdev == rdev, "fstat64 says mode %o",
           status64.st_mode);
    MUST(fstatat(fd, "", &status, AT_EMPTY_PATH));
    expect_node(&status, rdev, "fstatat of the descriptor");
    struct statx more;
    memset(&more, 0, sizeof(more));
    MUST(statx(AT_FDCWD, node, 0, STATX_BASIC_STATS, &more));
    EXPECT(S_ISCHR(more.stx_mode) && more.stx_rdev_major == 81 &&
               more.stx_rdev_minor == minor(rdev),
           "statx says mode %o, device %u:%u", more.stx_mode, more.stx_rdev_major,
           more.stx_rdev_minor);
    memset(&more, 0, sizeof(more));
    MUST(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
    EXPECT(S_ISCHR(more.stx_mode) && more.stx_rdev_minor == minor(rdev),
           "statx of the descriptor says mode %o", more.stx_mode);
    MUST(close(fd));
    MUST(access(node, R_OK | W_OK));
    MUST(faccessat(AT_FDCWD, node, R_OK | W_OK, 0));
    MUST_FAIL(access(node, X_OK), EACCES);
    char target[64];
    MUST_FAIL(readlink(node, target, sizeof(target)), EINVAL);
}

static int is_camera(const struct dirent* entry) {
    return strncmp(entry->d_name, "video", 5) == 0;
}

// Each camera once, by each way to read a folder.
static void listed_once(const char* node) {
    char folder[64];
    const char* name;
    split(node, folder, sizeof(folder), &name);
    int found = 0;
    DIR* all = opendir(folder);
    EXPECT(all != NULL, "opendir: %s", strerror(errno));
    for (const struct dirent* entry; (entry = readdir(all)) != NULL;) {
        found += strcmp(entry->d_name, name) == 0;
        EXPECT(strcmp(entry->d_name, name) != 0 || entry->d_type == DT_CHR ||
                   entry->d_type == DT_UNKNOWN,
               "readdir says type %d", entry->d_type);
    }
    EXPECT(found == 1, "readdir shows it %d times", found);
    rewinddir(all);
    found = 0;
    for (const struct dirent64* entry; (entry = readdir64(all)) != NULL;) {
        found += strcmp(entry->d_name, name) == 0;
    }
    EXPECT(found == 1, "after rewinddir readdir64 shows it %d times", found);
    MUST(closedir(all));

    struct dirent** entries = NULL;
    const int count = MUST(scandir(folder, &entries, is_camera, alphasort));
    found = 0;
    for (int i = 0; i < count; ++i) {
        found += strcmp(entries[i]->d_name, name) == 0;
        free(entries[i]);
    }
    free(entries);
    EXPECT(found == 1, "scandir shows it %d times", found);
}

static void expect_line(const char* path, const char* expected) {
    FILE* file = fopen(path, "r");
    EXPECT(file != NULL, "%s: %s", path, strerror(errno));
    char line[128];
    int found = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found += strcmp(line, expected) == 0;
    }
    fclose(file);
    EXPECT(found == 1, "%s has no line %s", path, expected);
}

// By which v4l2-ctl and udev's users find out what a node is.
static void described_in_sysfs(const char* node) {
    struct stat status;
    MUST(stat(node, &status));
    char path[128], line[128];
    snprintf(path, sizeof(path), "/sys/dev/char/81:%u/uevent", minor(status.st_rdev));
    snprintf(line, sizeof(line), "DEVNAME=%s", strrchr(node, '/') + 1);
    expect_line(path, line);
    snprintf(line, sizeof(line), "MINOR=%u", minor(status.st_rdev));
    expect_line(path, line);
}

const struct trap traps_opening[] = {
    {"opened-by-each-function", opened_by_each_function},
    {"flags-are-kept", flags_are_kept},
    {"mode-is-passed", mode_is_passed},
    {"fortified-create-aborts", fortified_create_aborts},
    {"opened-by-other-paths", opened_by_other_paths},
    {"others-are-not-taken", others_are_not_taken},
    {"status-is-a-nodes", status_is_a_nodes},
    {"listed-once", listed_once},
    {"described-in-sysfs", described_in_sysfs},
    {NULL, NULL},
};
