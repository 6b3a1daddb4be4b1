// SPDX-License-Identifier: MIT

#include "tools/display/kms_consumer.hpp"

#include <drm_fourcc.h>
#include <fmt/format.h>
#include <linux/sync_file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

const char* text_or_null(const std::string& text) {
    return text.empty() ? nullptr : text.c_str();
}

/// The library's are clauses: they end without a full stop.
std::string sentence(std::string text) {
    if (!text.ends_with('.')) {
        text += '.';
    }
    return text;
}

v4lfence_picture picture_of(const ScanoutLayout& layout) {
    v4lfence_picture picture{};
    picture.size = sizeof(picture);
    picture.width = layout.size.width;
    picture.height = layout.size.height;
    picture.fourcc = layout.fourcc;
    picture.modifier = DRM_FORMAT_MOD_LINEAR;
    return picture;
}

}  // namespace

Attempt<std::unique_ptr<KmsConsumer>> KmsConsumer::create(const KmsChoices& choices) {
    v4lfence_display_choice choice{};
    choice.size = sizeof(choice);
    choice.plane = choices.overlay ? V4LFENCE_PLANE_OVERLAY : V4LFENCE_PLANE_PRIMARY;
    choice.card = text_or_null(choices.card);
    choice.connector = text_or_null(choices.connector);
    choice.mode = text_or_null(choices.mode);
    choice.width = choices.size.width;
    choice.height = choices.size.height;
    choice.fourcc = choices.fourcc;
    std::array<char, 512> why{};
    DisplayPtr display(v4lfence_display_open(&choice, why.data(), why.size()));
    if (!display) {
        const ExitStatus status = display_open_status(errno);
        const char* advice = status == ExitStatus::MachineLacks
                                 ? " `--to null` shows the same on a display of software."
                                 : "";
        return tl::unexpected(Failure{status, sentence(why.data()) + advice});
    }
    return std::unique_ptr<KmsConsumer>(new KmsConsumer(std::move(display)));
}

KmsConsumer::KmsConsumer(DisplayPtr display) : display_(std::move(display)) {
    v4lfence_display_info info{};
    static_cast<void>(v4lfence_display_get_info(display_.get(), &info, sizeof(info)));
    info_.kind = "kms";
    info_.card = info.card;
    info_.driver = info.driver;
    info_.connector = info.connector;
    info_.mode = info.mode;
    info_.plane = fmt::format("{} {}", info.plane == V4LFENCE_PLANE_OVERLAY ? "overlay" : "primary",
                              info.plane_id);
    info_.size = {info.width, info.height};
    info_.refresh_hz = double(info.refresh_mhz) / 1e3;
    info_.in_fences = info.in_fences != 0;
    info_.kernel_fences = true;
    info_.out_fences = info.out_fences != 0;
    formats_.resize(v4lfence_display_formats(display_.get(), nullptr, 0));
    v4lfence_display_formats(display_.get(), formats_.data(), formats_.size());
}

bool KmsConsumer::shows(std::uint32_t display_fourcc) const {
    return std::any_of(formats_.begin(), formats_.end(), [&](const auto& format) {
        return format.fourcc == display_fourcc && (format.modifier == DRM_FORMAT_MOD_LINEAR ||
                                                   format.modifier == DRM_FORMAT_MOD_INVALID);
    });
}

Attempt<int> KmsConsumer::import(const CameraPicture& picture) {
    if (!picture.layout || picture.layout->planes.size() > std::size(v4lfence_picture{}.planes)) {
        return job_failed("no display knows the format.");
    }
    v4lfence_picture given = picture_of(*picture.layout);
    for (const ScanoutPlane& plane : picture.layout->planes) {
        given.planes[given.plane_count++] = {picture.dma_bufs[plane.buffer_plane], plane.offset,
                                             plane.stride, 0};
    }
    const int number = v4lfence_display_import(display_.get(), &given);
    if (number < 0) {
        return job_failed(why());
    }
    return number;
}

Attempt<DisplayPicture> KmsConsumer::allocate(std::uint32_t display_fourcc, ImageSize size) {
    DisplayPicture picture;
    picture.layout.fourcc = display_fourcc;
    picture.layout.size = size;
    v4lfence_picture given = picture_of(picture.layout);
    picture.number = v4lfence_display_allocate(display_.get(), &given);
    if (picture.number < 0) {
        return job_failed(why());
    }
    for (unsigned at = 0; at < given.plane_count; ++at) {
        const v4lfence_picture_plane& plane = given.planes[at];
        const auto known = std::find(picture.dma_bufs.begin(), picture.dma_bufs.end(), plane.fd);
        picture.layout.planes.push_back({static_cast<unsigned>(known - picture.dma_bufs.begin()),
                                         plane.offset, plane.stride, 0});
        if (known == picture.dma_bufs.end()) {
            picture.dma_bufs.push_back(plane.fd);
        }
    }
    return picture;
}

void KmsConsumer::forget(int picture) {
    static_cast<void>(v4lfence_display_forget(display_.get(), picture));
}

Result<UniqueFd> KmsConsumer::show(int picture, int in_fence) {
    v4lfence_display_frame frame{};
    frame.size = sizeof(frame);
    frame.picture = picture;
    frame.in_fence = in_fence;
    int out_fence = -1;
    if (v4lfence_display_show(display_.get(), &frame, info_.out_fences ? &out_fence : nullptr) <
        0) {
        return fail_errno("v4lfence_display_show");
    }
    return UniqueFd(out_fence);
}

bool KmsConsumer::waits_for(int fence) const {
    sync_file_info info{};
    return sys::ioctl_retry(fence, SYNC_IOC_FILE_INFO, &info).has_value();
}

std::string KmsConsumer::why() const {
    return sentence(v4lfence_display_error(display_.get()));
}

Result<std::optional<Flip>> KmsConsumer::next_flip() {
    v4lfence_flip taken{};
    taken.size = sizeof(taken);
    const int count = v4lfence_display_next_flip(display_.get(), &taken);
    if (count < 0) {
        return fail_errno("v4lfence_display_next_flip");
    }
    if (count == 0) {
        return std::optional<Flip>();
    }
    Flip flip;
    flip.picture = taken.picture;
    flip.previous = taken.previous;
    flip.sequence = taken.sequence;
    flip.time_ns = taken.time_ns;
    return std::optional(flip);
}

ExitStatus display_open_status(int code) {
    switch (code) {
    case EINVAL:
        return ExitStatus::WrongUsage;
    case ENODEV:
    case ENOENT:
    case EACCES:
    case EPERM:
    case EBUSY:
    case EOPNOTSUPP:
        return ExitStatus::MachineLacks;
    default:
        return ExitStatus::JobFailed;
    }
}

}  // namespace v4lfence
