// SPDX-License-Identifier: MIT

#include "tools/display/setup.hpp"

#include <drm_fourcc.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tools/devices/best.hpp"
#include "tools/display/kms_consumer.hpp"
#include "tools/display/session.hpp"
#include "tools/display/software_consumer.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

Attempt<Camera> open_camera(const DisplayChoices& choices) {
    CameraChoices wanted;
    wanted.device = choices.device.empty() ? best_capture_device() : choices.device;
    wanted.size = choices.size;
    wanted.fourcc = choices.fourcc;
    wanted.rate = choices.rate;
    wanted.fenced = choices.fences;
    wanted.provider = choices.provider;
    wanted.deadline_ms = choices.deadline_ms;
    auto camera = Camera::open(wanted);
    if (!camera || !choices.implicit) {
        return camera;
    }
    if (v4lfence_set_implicit(camera->file().fd(), V4LFENCE_IMPLICIT_IN | V4LFENCE_IMPLICIT_OUT) <
        0) {
        const char* reason = errno == ENODEV ? v4lfence_provider_reason("vgem") : nullptr;
        return machine_lacks(
            fmt::format("--implicit: {}", reason != nullptr ? reason : errno_text(errno)));
    }
    return camera;
}

Attempt<std::unique_ptr<Consumer>> open_software(const DisplayChoices& choices) {
    SoftwareChoices wanted;
    wanted.kind = choices.to.target == Target::Null ? "null" : "file";
    wanted.path = choices.to.path;
    wanted.provider = choices.provider.value_or("user");
    wanted.out_fences = choices.fences;
    wanted.implicit = choices.implicit;
    if (choices.to.target == Target::Raw) {
        auto sink = create_file_sink(choices.to.path);
        if (!sink) {
            return tl::unexpected(sink.error());
        }
        wanted.sink = std::move(*sink);
    }
    return SoftwareConsumer::create(std::move(wanted));
}

Attempt<std::unique_ptr<Consumer>> open_consumer(const DisplayChoices& choices,
                                                 const CaptureFormat& format) {
    if (!choices.on_kms()) {
        return open_software(choices);
    }
    KmsChoices wanted;
    wanted.card = choices.card;
    wanted.connector = choices.connector;
    wanted.mode = choices.mode;
    wanted.overlay = choices.overlay;
    wanted.size = format.size;
    if (choices.overlay) {
        wanted.fourcc = display_fourcc(format.fourcc).value_or(0);
        auto overlay = KmsConsumer::create(wanted);
        if (overlay || wanted.fourcc == 0) {
            return overlay;
        }
        wanted.fourcc = 0;  // Any overlay: the camera may have another format, or it is converted.
    }
    return KmsConsumer::create(wanted);
}

constexpr std::chrono::seconds black_patience{5};

tl::unexpected<Failure> interrupted() {
    return tl::unexpected(
        Failure{ExitStatus::Interrupted, "ended by a signal before the first frame."});
}

bool can_view(std::uint32_t fourcc) {
    return ImageView::knows(fourcc) || is_jpeg(fourcc);
}

Attempt<> agree_fourcc(Camera& camera, const Consumer& consumer, const DisplayChoices& choices) {
    const std::uint32_t present = camera.format().fourcc;
    const bool raw = choices.to.target == Target::Raw;
    if (choices.fourcc || (!choices.on_kms() && can_view(present) && !(raw && is_jpeg(present)))) {
        return {};
    }
    const bool has_xrgb = consumer.shows(DRM_FORMAT_XRGB8888);
    const FormatTaste taste = {
        [&](std::uint32_t fourcc) { return consumer.shows(fourcc); },
        [&](std::uint32_t fourcc) { return has_xrgb && can_view(fourcc) && !raw; }};
    const std::vector<std::uint32_t> offered = camera.formats();
    const auto chosen = choose_capture_fourcc(present, offered, taste);
    if (!chosen) {
        return machine_lacks(fmt::format(
            "{} has no format that this display shows or that can be converted. `v4lfence devices "
            "{}` lists its formats.",
            camera.device(), camera.device()));
    }
    return *chosen == present ? Attempt<>()
                              : camera.change_format({camera.format().size, *chosen, 0});
}

/// Tries it with a black picture, which also sets the mode. True where there is none to try.
Attempt<bool> shows_size(Consumer& consumer, ImageSize size, const Interrupt& interrupt) {
    const auto picture = consumer.allocate(DRM_FORMAT_XRGB8888, size);
    if (!picture) {
        return true;
    }
    if (const auto shown = consumer.show(picture->number, -1); !shown) {
        consumer.forget(picture->number);
        return shown.error().code != -ERANGE;
    }
    if (auto flip = await_flip(consumer, interrupt, black_patience); !flip) {
        return tl::unexpected(flip.error());
    }
    return true;
}

/// Whether frames need a border to be as large as the mode.
Attempt<bool> agree_size(Camera& camera, Consumer& consumer, const DisplayChoices& choices,
                         const Interrupt& interrupt) {
    const ImageSize mode = consumer.info().size;
    const bool any_size = mode == ImageSize{};
    if (any_size || camera.format().size == mode) {
        return false;
    }
    const auto as_it_is = shows_size(consumer, camera.format().size, interrupt);
    if (!as_it_is) {
        return as_it_is;
    }
    if (*as_it_is) {
        return false;
    }
    if (choices.size == camera.format().size) {
        return true;  // It was asked for, and so gets a border.
    }
    if (auto changed = camera.change_format({mode, camera.format().fourcc, 0}); !changed) {
        return tl::unexpected(changed.error());
    }
    const auto fitting = largest_fitting(camera.sizes(), mode);
    if (camera.format().size != mode && fitting) {
        if (auto changed = camera.change_format({*fitting, camera.format().fourcc, 0}); !changed) {
            return tl::unexpected(changed.error());
        }
    }
    return camera.format().size != mode;
}

}  // namespace

Attempt<> await_flip(Consumer& consumer, const Interrupt& interrupt,
                     std::chrono::milliseconds patience) {
    const MonotonicTime end = SystemClock().now() + patience;
    while (true) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - SystemClock().now()).count();
        std::array<pollfd, 2> entries = {{{interrupt.fd(), POLLIN, 0}, {consumer.fd(), POLLIN, 0}}};
        // A signal that is none of the interrupt's (a stop, a new size of the terminal) is no end.
        static_cast<void>(sys::poll(entries, static_cast<int>(std::max<std::int64_t>(left, 0))));
        if (interrupt.raised()) {
            return interrupted();
        }
        const auto flip = consumer.next_flip();
        if (!flip) {
            return job_failed(
                fmt::format("the display failed: {}.", errno_text(flip.error().code)));
        }
        if (*flip) {
            return {};
        }
        if (left <= 0) {
            return job_failed(
                fmt::format("the display did not show a black picture within {} s.",
                            std::chrono::duration_cast<std::chrono::seconds>(patience).count()));
        }
    }
}

CycleRules plan_rules(const DisplayChoices& choices, const QueueFences& camera,
                      const ConsumerInfo& consumer, MemoryWay memory) {
    CycleRules rules;
    if (!choices.fences || memory == MemoryWay::Copied) {
        return rules;
    }
    rules.implicit = choices.implicit;
    rules.early = choices.implicit ||
                  (consumer.in_fences && (camera.kernel_waitable || !consumer.kernel_fences));
    rules.release_fences = consumer.out_fences;
    return rules;
}

std::string fences_text(const CycleRules& rules, const QueueFences& camera,
                        const ConsumerInfo& consumer, MemoryWay memory, const char* no_vgem) {
    if (camera.provider.empty()) {
        return "none: the CPU waits for each frame, and for the flip that frees a buffer";
    }
    if (memory == MemoryWay::Copied) {
        return "none: the CPU copies each frame, so it waits for each";
    }
    const std::string back = rules.release_fences
                                 ? "; those of the display go back with the buffer they free"
                                 : "; the display gives none, so a buffer waits for the flip";
    if (rules.implicit) {
        return "in the dma-bufs, where the display finds them before the frame exists" + back;
    }
    if (rules.early) {
        return fmt::format("of {}, to the display before the frame exists{}", camera.provider,
                           back);
    }
    if (!consumer.in_fences) {
        return "the CPU waits for each frame, for the plane takes no IN_FENCE_FD" + back;
    }
    const std::string advice = no_vgem == nullptr
                                   ? "--fences vgem makes such"
                                   : fmt::format("--fences vgem would make such, but {}", no_vgem);
    return fmt::format("of {}, which KMS cannot wait for, so the CPU waits for each frame ({}){}",
                       camera.provider, advice, back);
}

Attempt<DisplayResult> run_display(const DisplayChoices& choices) {
    // Before the display is opened: from then on an end has to put it back.
    const auto interrupt = Interrupt::create();
    if (!interrupt) {
        return job_failed(fmt::format("no eventfd: {}.", errno_text(interrupt.error().code)));
    }
    auto camera = open_camera(choices);
    if (!camera) {
        return tl::unexpected(camera.error());
    }
    std::unique_ptr<PictureMemory> memory;  // outlives the display that shows it
    auto consumer = open_consumer(choices, camera->format());
    if (!consumer) {
        return tl::unexpected(consumer.error());
    }
    if (auto agreed = agree_fourcc(*camera, **consumer, choices); !agreed) {
        return tl::unexpected(agreed.error());
    }
    const auto bordered = agree_size(*camera, **consumer, choices, *interrupt);
    if (!bordered) {
        return tl::unexpected(bordered.error());
    }
    auto made = PictureMemory::create(
        *camera, **consumer, {choices.buffers, choices.fences, choices.implicit, *bordered});
    if (!made) {
        return tl::unexpected(made.error());
    }
    memory = std::move(*made);
    if (memory->queue().count() < 2) {
        return machine_lacks(fmt::format(
            "the driver {} gives one buffer, and a picture on screen needs another beside it.",
            camera->driver()));
    }
    if (interrupt->raised()) {
        return interrupted();
    }
    const ConsumerInfo& display = (*consumer)->info();
    const CycleRules rules = plan_rules(choices, camera->fences(), display, memory->way());
    Progress progress(choices.frames);
    DisplayResult result =
        DisplaySession(choices, *camera, **consumer, *memory, rules, *interrupt, progress).run();
    result.fences_way = fences_text(rules, camera->fences(), display, memory->way(),
                                    v4lfence_provider_reason("vgem"));
    return result;
}

}  // namespace v4lfence
