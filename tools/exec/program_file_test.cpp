// SPDX-License-Identifier: MIT

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "tools/exec/program_file.hpp"

namespace v4lfence {
namespace {

/// A folder of programs that is gone afterwards.
class ProgramFile : public testing::Test {
protected:
    ProgramFile() {
        std::string name = std::filesystem::temp_directory_path() / "program_file_XXXXXX";
        folder_ = ::mkdtemp(name.data());
    }
    ~ProgramFile() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& name, const std::string& text, mode_t mode = 0755) {
        const std::string path = folder_ / name;
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }

    template <class Header, class Segment>
    std::string program(const std::string& name, unsigned char width, unsigned machine,
                        const std::string& loader) {
        Header header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = width;
        header.e_machine = static_cast<Elf64_Half>(machine);
        header.e_phoff = sizeof(header);
        header.e_phentsize = sizeof(Segment);
        header.e_phnum = loader.empty() ? 0 : 1;
        Segment segment{};
        segment.p_type = PT_INTERP;
        segment.p_offset = sizeof(header) + sizeof(segment);
        std::string text(reinterpret_cast<const char*>(&header), sizeof(header));
        text.append(reinterpret_cast<const char*>(&segment), sizeof(segment));
        return file(name, text + loader + '\0');
    }
    std::string program64(const std::string& name, const std::string& loader) {
        return program<Elf64_Ehdr, Elf64_Phdr>(name, ELFCLASS64, EM_X86_64, loader);
    }

    static ExitStatus failure(const std::string& name) {
        const auto found = find_program(name);
        return found ? ExitStatus::Success : found.error().status;
    }

    std::filesystem::path folder_;
};

TEST_F(ProgramFile, path_is_searched_as_execvp_does) {
    const std::string before = std::getenv("PATH");
    std::filesystem::create_directory(folder_ / "first");
    std::filesystem::create_directory(folder_ / "first" / "tool");  // No program.
    const std::string tool = file("tool", "");
    file("denied", "", 0644);
    ::setenv("PATH", ((folder_ / "first").string() + ":" + folder_.string()).c_str(), 1);
    const auto found = find_program("tool");
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, tool);
    EXPECT_EQ(failure("no-such-tool"), ExitStatus::NotFound);
    EXPECT_EQ(failure("denied"), ExitStatus::CannotExecute);
    ::setenv("PATH", before.c_str(), 1);
}

TEST_F(ProgramFile, name_with_a_slash_is_not_searched) {
    EXPECT_EQ(failure(file("tool", "")), ExitStatus::Success);
    EXPECT_EQ(failure(file("text", "", 0644)), ExitStatus::CannotExecute);
    EXPECT_EQ(failure(folder_), ExitStatus::CannotExecute);
    EXPECT_EQ(failure((folder_ / "none").string()), ExitStatus::NotFound);
    EXPECT_EQ(failure(""), ExitStatus::NotFound);
}

#if defined(__x86_64__)
TEST_F(ProgramFile, loader_tells_who_is_reached) {
    EXPECT_EQ(preload_reach(program64("dynamic", "/lib64/ld-linux-x86-64.so.2")),
              PreloadReach::Reached);
    EXPECT_EQ(preload_reach(program64("static", "")), PreloadReach::Static);
    EXPECT_EQ(preload_reach(program64("ld-linux-x86-64.so.2", "")), PreloadReach::Reached);
    EXPECT_EQ(preload_reach(program64("musl", "/lib/ld-musl-x86_64.so.1")),
              PreloadReach::OtherLibc);
    EXPECT_EQ(preload_reach(program<Elf32_Ehdr, Elf32_Phdr>("narrow", ELFCLASS32, EM_386,
                                                            "/lib/ld-linux.so.2")),
              PreloadReach::Reached32);
    EXPECT_EQ(preload_reach(program<Elf64_Ehdr, Elf64_Phdr>("arm", ELFCLASS64, EM_AARCH64,
                                                            "/lib/ld-linux-aarch64.so.1")),
              PreloadReach::OtherMachine);
}

TEST_F(ProgramFile, script_is_what_its_interpreter_is) {
    const std::string fixed = program64("static", "");
    EXPECT_EQ(preload_reach(file("script", "#! " + fixed + " -x\n")), PreloadReach::Static);
    EXPECT_EQ(preload_reach(file("outer", "#!" + file("inner", "#!" + fixed))),
              PreloadReach::Static);
    const std::string loop = folder_ / "loop";
    EXPECT_EQ(preload_reach(file("loop", "#!" + loop + "\n")), PreloadReach::Reached);
}

TEST_F(ProgramFile, set_uid_of_another_user_is_out_of_reach) {
    const std::string path = program64("privileged", "/lib64/ld-linux-x86-64.so.2");
    ::chmod(path.c_str(), 04755);
    EXPECT_EQ(preload_reach(path), PreloadReach::Reached) << "it is the caller's own";
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can give a file away";
    }
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
    ::chmod(path.c_str(), 04755);
    EXPECT_EQ(preload_reach(path), PreloadReach::Privileged);
}
#endif

TEST_F(ProgramFile, cut_off_headers_are_the_kernels_to_judge) {
    EXPECT_EQ(preload_reach(file("short", ELFMAG)), PreloadReach::Reached);
    EXPECT_EQ(preload_reach(file("empty", "")), PreloadReach::Reached);
    EXPECT_EQ(preload_reach(file("text", "echo hello\n")), PreloadReach::Reached);
    EXPECT_EQ(preload_reach((folder_ / "none").string()), PreloadReach::Reached);
}

}  // namespace
}  // namespace v4lfence
