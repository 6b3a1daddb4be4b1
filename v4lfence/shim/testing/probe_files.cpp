// SPDX-License-Identifier: MIT

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "v4lfence/shim/testing/probe.hpp"

namespace v4lfence::shim {

namespace {

void say_opened(const char* what, int fd) {
    const int error = errno;
    struct stat status {};
    if (fd >= 0) {
        fstat(fd, &status);
    }
    printf("%s: %s", what, fd < 0 ? strerror(error) : "");
    if (fd >= 0) {
        printf("%o %u:%u", status.st_mode, major(status.st_rdev), minor(status.st_rdev));
    }
    printf("\n");
    if (fd >= 0) {
        close(fd);
    }
}

void open_flags(const char*) {
    say_opened("O_CREAT|O_EXCL", open(camera, O_RDWR | O_CREAT | O_EXCL, 0600));
    say_opened("O_DIRECTORY", open(camera, O_RDONLY | O_DIRECTORY));
    say_opened("O_PATH", open(camera, O_PATH));
    say_opened("O_TRUNC", open(camera, O_RDWR | O_CREAT | O_TRUNC, 0600));
    say_opened("O_NOFOLLOW", open(camera, O_RDWR | O_NOFOLLOW));
    say_opened("O_NOFOLLOW of a link", open("/dev/char/81:80", O_RDWR | O_NOFOLLOW));
    say_opened("a link", open("/dev/char/81:80", O_RDWR));
    say_opened("a text, writable", open("/sys/dev/char/81:80/uevent", O_RDWR));
    say_opened("a folder", open("/sys/dev/char/81:80", O_RDONLY | O_DIRECTORY));
    say_opened("a node with a slash", open("/dev/video80/", O_RDONLY));
    struct stat status {};
    printf("stat %d", stat("/dev/char/81:80/", &status));
    printf(" %s\n", strerror(errno));
    say_opened("none", open("/dev/video82", O_RDWR));
    const int fd = open(camera, O_RDWR);
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
    say_opened("again", open(again, O_RDWR));
    const int unknown = reinterpret_cast<int (*)(int)>(unseen("dup"))(fd);
    snprintf(again, sizeof again, "/proc/self/fd/%d", unknown);
    say_opened("unknown", open(again, O_RDWR));
}

void open_path(const char* path) {
    say_opened(path, open(path, O_RDONLY));
}

void relative_paths(const char* folder) {
    char link[PATH_MAX];
    snprintf(link, sizeof link, "%s/camera", folder);
    __attribute__((unused)) int done = symlink(camera, link);
    done = chdir(folder);
    say_opened("by a link", open("camera", O_RDWR));
    struct stat status;
    printf("link itself %d\n", lstat("camera", &status) == 0 && S_ISLNK(status.st_mode));
    done = chdir("/dev");
    say_opened("here", open("video80", O_RDWR));
    say_opened("dots", open("./../dev//video80", O_RDWR));
    const int dev = open("/dev", O_PATH | O_DIRECTORY);
    done = chdir("/");
    say_opened("at", openat(dev, "video80", O_RDWR));
    say_opened("not here", open("video80", O_RDWR));
    say_opened("a dot after none", open("/dev/none/../video80", O_RDWR));
    const int folder_fd = open("/dev/v4l/by-id", O_RDONLY | O_DIRECTORY);
    say_opened("in ours", openat(folder_fd, "usb-v4lfence_camera_80-video-index0", O_RDWR));
}

void all_texts(const char*) {
    for (const char* name : {"uevent", "dev", "name", "index"}) {
        char path[128];
        snprintf(path, sizeof path, "/sys/class/video4linux/video81/%s", name);
        FILE* file = fopen(path, "re");
        char line[128];
        while (file != nullptr && fgets(line, sizeof line, file) != nullptr) {
            printf("%s", line);
        }
        if (file != nullptr) {
            fclose(file);
        }
    }
    printf("%d\n", access("/sys/class/video4linux/video81/device", F_OK));
}

void all_listings(const char*) {
    DIR* folder = opendir("/sys/class/video4linux");
    while (const dirent* entry = readdir(folder)) {
        if (strncmp(entry->d_name, "video8", 6) == 0) {
            printf("%s %d\n", entry->d_name, entry->d_type == DT_LNK);
        }
    }
    const long end = telldir(folder);
    rewinddir(folder);
    int again = 0;
    while (readdir(folder) != nullptr) {
        ++again;
    }
    seekdir(folder, end);
    printf("again %d, after the end %d\n", again >= 2, readdir(folder) != nullptr);
    closedir(folder);

    dirent** list = nullptr;
    const int count = scandir(
        "/dev", &list, [](const dirent* each) { return int(!strncmp(each->d_name, "video8", 6)); },
        alphasort);
    for (int i = 0; i < count; ++i) {
        printf("scandir %s\n", list[i]->d_name);
        free(list[i]);
    }
    free(list);

    glob_t found{};
    glob("/dev/v4l/by-*/*", 0, nullptr, &found);
    for (size_t i = 0; i < found.gl_pathc; ++i) {
        printf("glob %s\n", found.gl_pathv[i]);
    }
    globfree(&found);
}

void all_links(const char*) {
    char text[PATH_MAX] = {};
    const ssize_t length = readlink("/dev/v4l/by-path/platform-v4lfence.81-video-index0", text, 5);
    printf("%zd %s\n", length, text);
    char* path = realpath("/sys/dev/char/81:80/subsystem/video81", nullptr);
    printf("%s\n", path);
    free(path);
    printf("%s\n", realpath("/dev/char/81:81", text));
    printf("%d", access("/dev/char/81:81", R_OK | W_OK));
    printf(" %d", access("/dev/char/81:81", X_OK));
    printf(" %s\n", strerror(errno));
}

/// In this order: the node, through each of the calls that tell of it, must be one file.
void all_stats(const char*) {
    struct stat by_path;
    struct stat by_fd;
    struct statx extended;
    stat(camera, &by_path);
    fstat(open(camera, O_RDWR), &by_fd);
    statx(AT_FDCWD, "/dev/char/81:80", 0, STATX_BASIC_STATS, &extended);
    printf("%o %u:%u owned %d\n", by_path.st_mode, major(by_path.st_rdev), minor(by_path.st_rdev),
           by_path.st_uid == geteuid() && by_path.st_gid == getegid());
    printf("same %d\n", by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev &&
                            by_path.st_rdev == by_fd.st_rdev && extended.stx_ino == by_fd.st_ino &&
                            extended.stx_rdev_minor == 80 && extended.stx_mode == by_fd.st_mode);
}

constexpr ProbeCase cases[] = {
    {"open_flags", open_flags}, {"open_path", open_path}, {"relative_paths", relative_paths},
    {"all_texts", all_texts},   {"all_links", all_links}, {"all_listings", all_listings},
    {"all_stats", all_stats},   {nullptr, nullptr},
};

}  // namespace

const ProbeCase* file_cases() {
    return cases;
}

}  // namespace v4lfence::shim
