// SPDX-License-Identifier: MIT
//
// Does anything tear? A camera fills two pictures of a display in turns. Each goes to KMS with its
// out-fence before it is painted, and back to the camera with KMS's out-fence while it is still on
// screen; both fences are delayed at random. What was really scanned out is looked at: by
// --watch writeback the first scan-out of each frame, whose stamps at top and bottom have to be the
// frame's own; by --watch crc the checksum of every scan-out, which must not change while a frame
// is on screen.
//
// With --implicit the display gets no fence: the camera's, and the delay, lie in the picture's
// memory, where a driver looks by itself.
//
// --fault leaves a fence away, and has to show: `early` the one to KMS, so that frames are shown
// before they exist, `reuse` the one to the camera, so that it paints what is on screen.
//
// Prints what it saw as JSON and judges nothing. Exit status: 0; 1 it could not go on; 2 wrong
// usage; 77 the machine lacks something.

#include <getopt.h>

#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/display/camera.hpp"
#include "tests/display/check.hpp"
#include "tests/display/crc_tap.hpp"
#include "tests/display/delays.hpp"
#include "tests/display/evidence.hpp"
#include "tests/display/screen.hpp"

namespace v4lfence::display {
namespace {

constexpr int patience_ms = 12'000;
constexpr unsigned pictures_count = 2;

enum class Fault { None, Early, Reuse };

struct Options {
    const char* device = "virtual:camera";
    const char* card = "vkms";
    Size size{320, 180};
    unsigned display_hz = 60;
    unsigned camera_hz = 60;
    unsigned frames = 600;
    unsigned delay_ms = 30;
    bool writeback = true;
    bool implicit = false;
    Fault fault = Fault::None;
};

/// How often a fence was pending when it was handed over, which is what they are for.
struct Waits {
    unsigned display = 0;
    unsigned camera = 0;
    unsigned unheeded = 0;  ///< Frames on screen whose in-fence was pending still.
};

bool is_pending(const api::Fence& fence) {
    return fence.status().state == V4LFENCE_PENDING;
}

/// Ends when both have.
api::Fence both(const api::Fence& one, const api::Fence& other) {
    api::Fence merged = api::Fence::merge("delayed", one, other);
    if (!merged) {
        give_up(status_wrong, "two fences cannot be merged: %s", std::strerror(errno));
    }
    return merged;
}

StampReading read_picture(const Picture& picture, Size size) {
    return read_stamps(size.width, size.height,
                       [&](std::uint32_t x, std::uint32_t y) { return picture.luma(x, y); });
}

class Run {
public:
    explicit Run(const Options& options)
        : options_(options),
          screen_(options.card, options.size, options.display_hz, options.writeback),
          pictures_{screen_.make_picture(), screen_.make_picture()}, seen_(screen_.make_picture()),
          camera_(options.device, options.size, options.camera_hz, pictures_),
          to_display_(std::chrono::milliseconds(options.delay_ms), 1),
          to_camera_(std::chrono::milliseconds(options.delay_ms), 2) {
        if (!options.writeback) {
            tap_ = std::make_unique<CrcTap>(screen_.card_number());
        }
        if (options.implicit && options.fault != Fault::Early) {
            camera_.leave_fences();
        }
        for (unsigned index = 0; index < pictures_count; ++index) {
            done_[index] = camera_.queue(index, nullptr);
        }
        camera_.start();
    }

    void show_all() {
        for (unsigned n = 0; n < options_.frames; ++n) {
            show(n % pictures_count);
        }
        take((options_.frames - 1) % pictures_count);
    }

    const std::vector<Shown>& shown() const { return shown_; }
    const Waits& waits() const { return waits_; }
    std::vector<ScanOut> scan_outs() const { return tap_ ? tap_->all() : std::vector<ScanOut>(); }

private:
    /// Never waits for a frame, but for the one before this, which is on screen.
    void show(unsigned index) {
        const api::Fence delay = to_display_.next();
        const api::Fence painted = both(done_[index], delay);
        waits_.display += is_pending(painted) ? 1 : 0;
        const bool early = options_.fault == Fault::Early;
        if (options_.implicit && !early) {
            Screen::leave_fence(pictures_[index], delay);
        }
        const Screen::Fences fences =
            screen_.show(pictures_[index], options_.implicit || early ? -1 : painted.fd(),
                         options_.writeback ? &seen_ : nullptr);
        if (!shown_.empty()) {
            give_back(1 - index, fences.shown);
        }
        Shown shown;
        shown.flip = screen_.wait_for_flip().sequence;
        waits_.unheeded += is_pending(painted) ? 1 : 0;
        if (fences.shown.wait(patience_ms) != 0) {
            give_up(status_wrong, "the out-fence of a frame on screen does not end");
        }
        shown.shown_at_ns = fences.shown.status().ended_at_ns;
        if (options_.writeback) {
            screen_.wait_for_writeback(seen_, fences.written);
            shown.seen = read_picture(seen_, options_.size);
        }
        shown_.push_back(shown);
    }

    /// The picture on screen, which goes when the next one comes.
    void give_back(unsigned index, const api::Fence& next_is_shown) {
        const api::Fence gone = both(next_is_shown, to_camera_.next());
        take(index);
        waits_.camera += is_pending(gone) ? 1 : 0;
        done_[index] = camera_.queue(index, options_.fault == Fault::Reuse ? nullptr : &gone);
    }

    /// What the camera says of the frame that was shown last.
    void take(unsigned index) {
        const Camera::Frame frame = camera_.take();
        if (frame.index != index || frame.bad) {
            give_up(status_wrong, "the camera sent %s buffer %u in place of %u",
                    frame.bad ? "a bad" : "a good", frame.index, index);
        }
        shown_.back().sequence = frame.sequence;
        shown_.back().captured_at_ns = frame.captured_at_ns;
    }

    Options options_;
    Screen screen_;
    std::array<Picture, pictures_count> pictures_;
    Picture seen_;
    Camera camera_;
    Delays to_display_;
    Delays to_camera_;
    std::unique_ptr<CrcTap> tap_;
    std::array<api::Fence, pictures_count> done_;
    std::vector<Shown> shown_;
    Waits waits_;
};

int run(const Options& options) {
    Run run(options);
    run.show_all();
    const std::vector<ScanOut> scan_outs = run.scan_outs();
    const Waits& waits = run.waits();
    std::printf("{\"frames\": %zu, \"waited\": {\"display\": %u, \"camera\": %u}, "
                "\"unheeded\": %u, ",
                run.shown().size(), waits.display, waits.camera, waits.unheeded);
    if (options.writeback) {
        const Stamps stamps = judge_stamps(run.shown());
        std::printf("\"right\": %u, \"old\": %u, \"torn\": %u, \"none\": %u}\n", stamps.right,
                    stamps.old, stamps.torn, stamps.none);
    } else {
        const Steadiness steady = judge_steadiness(run.shown(), scan_outs);
        std::printf("\"scan_outs\": %u, \"late\": %u, \"twice\": %u, \"changed\": %u, "
                    "\"stale\": %u}\n",
                    steady.scan_outs, steady.late, steady.twice, steady.changed, steady.stale);
    }
    return 0;
}

[[noreturn]] void usage() {
    give_up(status_usage,
            "usage: tear_test [--watch writeback|crc] [--fault early|reuse] [--implicit]\n"
            "                 [--frames N] [--delay MS] [--device NODE] [--card DRIVER] [--hz N]");
}

Options parse(int argc, char** argv) {
    static const option known[] = {{"watch", required_argument, nullptr, 'w'},
                                   {"fault", required_argument, nullptr, 'f'},
                                   {"frames", required_argument, nullptr, 'n'},
                                   {"delay", required_argument, nullptr, 'd'},
                                   {"device", required_argument, nullptr, 'v'},
                                   {"card", required_argument, nullptr, 'c'},
                                   {"hz", required_argument, nullptr, 'z'},
                                   {"implicit", no_argument, nullptr, 'i'},
                                   {nullptr, 0, nullptr, 0}};
    Options options;
    for (int letter; (letter = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
        const std::string_view text = ::optarg == nullptr ? "" : ::optarg;
        if (letter == 'w' && (text == "writeback" || text == "crc")) {
            options.writeback = text == "writeback";
        } else if (letter == 'f' && (text == "early" || text == "reuse")) {
            options.fault = text == "early" ? Fault::Early : Fault::Reuse;
        } else if (letter == 'n' && std::atoi(::optarg) > 0) {
            options.frames = static_cast<unsigned>(std::atoi(::optarg));
        } else if (letter == 'd' && std::atoi(::optarg) >= 0) {
            options.delay_ms = static_cast<unsigned>(std::atoi(::optarg));
        } else if (letter == 'z' && std::atoi(::optarg) > 0) {
            options.display_hz = static_cast<unsigned>(std::atoi(::optarg));
        } else if (letter == 'i') {
            options.implicit = true;
        } else if (letter == 'v') {
            options.device = ::optarg;
        } else if (letter == 'c') {
            options.card = ::optarg;
        } else {
            usage();
        }
    }
    if (::optind != argc) {
        usage();
    }
    return options;
}

}  // namespace
}  // namespace v4lfence::display

int main(int argc, char** argv) {
    return v4lfence::display::run(v4lfence::display::parse(argc, argv));
}
