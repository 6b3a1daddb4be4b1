// SPDX-License-Identifier: MIT

#include "tools/trace/timeline.hpp"

#include <cairo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>

#include "tools/trace/testing/script.hpp"

namespace v4lfence {
namespace {

namespace fs = std::filesystem;

class Folder {
public:
    Folder() {
        std::string name = fs::temp_directory_path() / "v4lfence-timeline-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path_); }

    std::string file(const std::string& name) const { return path_ / name; }

private:
    fs::path path_;
};

Attempt<> draw(Script& script, const std::string& path) {
    sort_by_time(script.recording);
    return draw_timeline(script.recording, make_lanes(script.recording), path);
}

Script some_frames(std::uint64_t frames) {
    Script script;
    const auto queue = script.queue(script.process(77, "camera"), "video0 capture");
    for (std::uint64_t number = 1; number <= frames; ++number) {
        script.frame(queue, number, 4);
    }
    script.kernel(20, "vb2", "vb2_buf_done", {{"owner", "0f"}});
    script.recording.end_ns = Script::ms(static_cast<std::int64_t>(frames) * 16 + 50);
    return script;
}

struct Picture {
    int width = 0;
    int height = 0;
    std::set<std::uint32_t> colours;
};

Picture read(const std::string& path) {
    const auto free_surface = [](cairo_surface_t* surface) { cairo_surface_destroy(surface); };
    const std::unique_ptr<cairo_surface_t, decltype(free_surface)> surface(
        cairo_image_surface_create_from_png(path.c_str()), free_surface);
    Picture picture{cairo_image_surface_get_width(surface.get()),
                    cairo_image_surface_get_height(surface.get()),
                    {}};
    const unsigned char* data = cairo_image_surface_get_data(surface.get());
    const int stride = cairo_image_surface_get_stride(surface.get());
    for (int y = 0; y < picture.height; ++y) {
        const auto* row = reinterpret_cast<const std::uint32_t*>(data + y * stride);
        for (int x = 0; x < picture.width; ++x) {
            picture.colours.insert(row[x] & 0xffffffU);
        }
    }
    return picture;
}

TEST(Timeline, states_are_drawn_in_their_colours) {
    const Folder folder;
    Script script = some_frames(10);
    ASSERT_TRUE(draw(script, folder.file("t.png")));
    const Picture picture = read(folder.file("t.png"));
    for (const std::uint32_t colour : {0xe69f00U, 0x0072b2U, 0x009e73U, 0xd55e00U, 0x9c4a86U}) {
        EXPECT_TRUE(picture.colours.contains(colour)) << std::hex << colour;
    }
}

TEST(Timeline, width_grows_with_the_frames_within_limits) {
    const Folder folder;
    Script few = some_frames(2);
    Script more = some_frames(60);
    Script many = some_frames(1000);
    ASSERT_TRUE(draw(few, folder.file("few.png")));
    ASSERT_TRUE(draw(more, folder.file("more.png")));
    ASSERT_TRUE(draw(many, folder.file("many.png")));
    const int narrow = read(folder.file("few.png")).width;
    const int wide = read(folder.file("more.png")).width;
    EXPECT_GE(narrow, 900);
    EXPECT_GT(wide, narrow);
    EXPECT_GT(read(folder.file("many.png")).width, wide);
    EXPECT_LT(read(folder.file("many.png")).width, 9000);
}

TEST(Timeline, name_decides_the_format) {
    const Folder folder;
    Script script = some_frames(3);
    ASSERT_TRUE(draw(script, folder.file("t.svg")));
    std::ifstream file(folder.file("t.svg"));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_THAT(text, testing::HasSubstr("<svg"));
    EXPECT_THAT(text, testing::HasSubstr("</svg>"));
}

TEST(Timeline, empty_trace_can_be_drawn) {
    const Folder folder;
    Script script;
    EXPECT_TRUE(draw(script, folder.file("t.png")));
}

TEST(Timeline, place_that_cannot_be_written_fails_with_a_sentence) {
    Script script = some_frames(1);
    for (const char* path : {"/nowhere/t.png", "/nowhere/t.svg"}) {
        const auto drawn = draw(script, path);
        ASSERT_FALSE(drawn);
        EXPECT_EQ(drawn.error().status, ExitStatus::JobFailed);
        EXPECT_THAT(drawn.error().message, testing::HasSubstr(path));
    }
}

}  // namespace
}  // namespace v4lfence
