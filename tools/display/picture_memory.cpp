// SPDX-License-Identifier: MIT

#include "tools/display/picture_memory.hpp"

#include <drm_fourcc.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

/// One on screen, one on its way, one that the CPU fills.
constexpr unsigned copied_pictures = 3;

bool same_memory(const ScanoutLayout& first, const ScanoutLayout& second) {
    return first.fourcc == second.fourcc &&
           std::equal(first.planes.begin(), first.planes.end(), second.planes.begin(),
                      second.planes.end(), [](const auto& one, const auto& other) {
                          return one.buffer_plane == other.buffer_plane &&
                                 one.offset == other.offset && one.stride == other.stride;
                      });
}

template <class T>
std::unique_ptr<T> boxed(T value) {
    return std::make_unique<T>(std::move(value));
}

}  // namespace

const char* memory_way_text(MemoryWay way) {
    switch (way) {
    case MemoryWay::Mapped:
        return "the camera's buffers, read where they are";
    case MemoryWay::Imported:
        return "the camera's buffers, imported by the display";
    case MemoryWay::Displays:
        return "the display's buffers, imported by the camera";
    case MemoryWay::Copied:
        break;
    }
    return "the CPU copies each frame";
}

const char* memory_way_name(MemoryWay way) {
    constexpr const char* names[] = {"mapped", "imported", "displays", "copied"};
    return names[static_cast<std::size_t>(way)];
}

Attempt<std::unique_ptr<PictureMemory>> PictureMemory::create(Camera& camera, Consumer& consumer,
                                                              const MemoryChoices& choices) {
    std::unique_ptr<PictureMemory> memory(new PictureMemory(camera, consumer, choices));
    if (auto found = memory->find_way(); !found) {
        return tl::unexpected(found.error());
    }
    return memory;
}

Attempt<> PictureMemory::find_way() {
    if (!on_kms()) {
        return attempt(MemoryWay::Mapped, &PictureMemory::map);
    }
    const auto layout = scanout_layout(camera_.format());
    if (choices_.bordered) {
        refusals_.push_back(fmt::format(
            "the display neither scales nor shows less than its {}x{}, so the CPU adds a border",
            consumer_.info().size.width, consumer_.info().size.height));
    } else if (layout && consumer_.shows(layout->fourcc)) {
        if (attempt(MemoryWay::Imported, &PictureMemory::import) ||
            attempt(MemoryWay::Displays, &PictureMemory::take_displays)) {
            return {};
        }
    } else {
        refusals_.push_back(fmt::format("the display has no {}, so it is converted",
                                        fourcc_text(camera_.format().fourcc)));
    }
    if (choices_.implicit) {
        return machine_lacks(fmt::format(
            "--implicit: fences lie in dma-bufs that camera and display share, and these two share "
            "none: {}.",
            refusals_.back()));
    }
    return attempt(MemoryWay::Copied, &PictureMemory::copy);
}

Attempt<> PictureMemory::attempt(MemoryWay way, Attempt<> (PictureMemory::*way_in)()) {
    way_ = way;
    auto done = (this->*way_in)();
    if (done) {
        return done;
    }
    for (const int picture : std::exchange(pictures_, {})) {
        consumer_.forget(picture);
    }
    copies_ = nullptr;
    queue_.reset();
    viewer_.reset();
    exported_.clear();
    pool_.reset();
    std::string why = done.error().message;
    why.erase(why.find_last_not_of('.') + 1);
    refusals_.push_back(fmt::format("not {}: {}", memory_way_text(way), why));
    return done;
}

Attempt<> PictureMemory::map() {
    return import_buffers(choices_.implicit);
}

Attempt<> PictureMemory::import() {
    return import_buffers(true);
}

Attempt<> PictureMemory::import_buffers(bool as_dma_bufs) {
    auto pool = BufferPool::create(camera_, V4L2_MEMORY_MMAP, choices_.buffers);
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    pool_ = boxed(std::move(*pool));
    const CaptureFormat& format = camera_.format();
    const auto learnt = learn_data_offsets(camera_, *pool_);
    if (!learnt && on_kms()) {
        return tl::unexpected(learnt.error());
    }
    // What reads pictures where they are has no other way; most begin with the buffer.
    const DataOffsets offsets = learnt.value_or(DataOffsets{});
    for (unsigned index = 0; index < pool_->count(); ++index) {
        CameraPicture picture;
        picture.capture_fourcc = format.fourcc;
        picture.layout = scanout_layout(format, offsets);
        picture.size = format.size;
        for (unsigned plane = 0; plane < format.planes.size(); ++plane) {
            const auto bytes = pool_->plane(index, plane);
            picture.strides.push_back(format.planes[plane].stride);
            const auto frame =
                bytes.first(std::min<std::size_t>(bytes.size(), format.planes[plane].size));
            picture.bytes.push_back(picture_bytes(frame, offsets[plane]));
            if (!as_dma_bufs) {
                continue;
            }
            auto dma_buf = pool_->export_plane(index, plane);
            if (!dma_buf) {
                return machine_lacks(fmt::format("{} gives no dma-bufs (EXPBUF): {}.",
                                                 camera_.driver(),
                                                 errno_text(dma_buf.error().code)));
            }
            picture.dma_bufs.push_back(dma_buf->get());
            exported_.push_back(std::move(*dma_buf));
        }
        const auto number = consumer_.import(picture);
        if (!number) {
            return tl::unexpected(number.error());
        }
        pictures_.push_back(*number);
    }
    use_pool(offsets);
    return {};
}

Attempt<std::vector<DisplayPicture>> PictureMemory::allocate(std::uint32_t display_fourcc,
                                                             ImageSize size, unsigned count) {
    std::vector<DisplayPicture> pictures;
    for (unsigned index = 0; index < count; ++index) {
        auto picture = consumer_.allocate(display_fourcc, size);
        if (!picture) {
            return tl::unexpected(picture.error());
        }
        pictures_.push_back(picture->number);
        pictures.push_back(std::move(*picture));
    }
    return pictures;
}

Attempt<> PictureMemory::take_displays() {
    const auto fourcc = display_fourcc(camera_.format().fourcc);
    const auto pictures = allocate(*fourcc, camera_.format().size, choices_.buffers);
    if (!pictures) {
        return tl::unexpected(pictures.error());
    }
    if (auto agreed = agree_layout(pictures->front()); !agreed) {
        return agreed;
    }
    std::vector<std::vector<UniqueFd>> dma_bufs;
    for (const DisplayPicture& picture : *pictures) {
        auto& planes = dma_bufs.emplace_back();
        for (const int dma_buf : picture.dma_bufs) {
            auto own = sys::dup(dma_buf);
            if (!own) {
                return job_failed("there are too many open files.");
            }
            planes.push_back(std::move(*own));
        }
    }
    auto pool = BufferPool::adopt(camera_, std::move(dma_bufs));
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    pool_ = boxed(std::move(*pool));
    if (auto taken = probe_import(); !taken) {
        return taken;
    }
    use_pool({});
    return {};
}

Attempt<> PictureMemory::agree_layout(const DisplayPicture& picture) {
    const ScanoutLayout& wanted = picture.layout;
    const auto agrees = [&] {
        const auto layout = scanout_layout(camera_.format());
        return layout && same_memory(*layout, wanted) &&
               camera_.format().planes.size() == picture.dma_bufs.size();
    };
    if (agrees()) {
        return {};
    }
    const CaptureFormat before = camera_.format();
    auto changed =
        camera_.change_format({before.size, before.fourcc, wanted.planes.front().stride});
    if (!changed || agrees()) {
        return changed;
    }
    return machine_lacks(fmt::format(
        "{} writes lines of {} bytes into {} plane(s), the display wants {} in {}.",
        camera_.driver(), camera_.format().planes.front().stride, camera_.format().planes.size(),
        wanted.planes.front().stride, picture.dma_bufs.size()));
}

Attempt<> PictureMemory::probe_import() const {
    IoctlBuffer argument(camera_.format(), pool_->memory(), 0);
    pool_->attach(0, argument);
    const auto prepared = camera_.file().ioctl(VIDIOC_PREPARE_BUF, argument.get());
    // A driver without the call tells by QBUF, and with the first frame where pictures begin.
    if (!prepared && prepared.error().code != -ENOTTY) {
        return machine_lacks(fmt::format("{} refuses them: {}.", camera_.driver(),
                                         errno_text(prepared.error().code)));
    }
    if (argument.data_offsets() != DataOffsets{}) {
        return machine_lacks(fmt::format("{} leaves bytes before a picture ({} in plane 0), and "
                                         "the display's pictures begin with the buffer.",
                                         camera_.driver(), argument.data_offsets().front()));
    }
    return {};
}

Attempt<> PictureMemory::copy() {
    const std::uint32_t fourcc = camera_.format().fourcc;
    const auto same = display_fourcc(fourcc);
    const bool as_it_is = same && consumer_.shows(*same) && !choices_.bordered;
    if (!as_it_is && !ImageView::knows(fourcc) && !is_jpeg(fourcc)) {
        return machine_lacks(fmt::format(
            "the display does not show {}, and it cannot be converted. Choose another --format.",
            fourcc_text(fourcc)));
    }
    auto pool = BufferPool::create(camera_, V4L2_MEMORY_MMAP, choices_.buffers);
    if (!pool) {
        return tl::unexpected(pool.error());
    }
    pool_ = boxed(std::move(*pool));
    auto pictures = allocate(as_it_is ? *same : DRM_FORMAT_XRGB8888,
                             choices_.bordered ? consumer_.info().size : camera_.format().size,
                             copied_pictures);
    if (!pictures) {
        return tl::unexpected(pictures.error());
    }
    auto queue = CopyQueue::create(camera_, *pool_, std::move(*pictures));
    if (!queue) {
        return tl::unexpected(queue.error());
    }
    copies_ = queue->get();
    queue_ = std::move(*queue);
    return {};
}

void PictureMemory::use_pool(const DataOffsets& told) {
    viewer_ = std::make_unique<FrameViewer>(camera_.format(), *pool_);
    queue_ = std::make_unique<CameraQueue>(camera_, *pool_, choices_.out_fences, told);
}

std::optional<ImageView> PictureMemory::view(unsigned index, std::size_t bytes_used,
                                             const DataOffsets& offsets) {
    return copies_ != nullptr ? copies_->view(index) : viewer_->view(index, bytes_used, offsets);
}

void PictureMemory::begin_read(unsigned index) const {
    if (copies_ == nullptr) {
        pool_->begin_read(index);
    }
}

void PictureMemory::end_read(unsigned index) const {
    if (copies_ == nullptr) {
        pool_->end_read(index);
    }
}

}  // namespace v4lfence
