// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <fmt/format.h>

#include "tools/display/software_consumer.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

class FileSink final : public PictureSink {
public:
    FileSink(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}

    Attempt<> put(const CameraPicture& picture) override {
        for (std::span<const std::byte> plane : picture.bytes) {
            while (!plane.empty()) {
                const auto written = sys::write_quietly(file_.get(), plane);
                if (!written) {
                    return job_failed(fmt::format("{} cannot be written: {}.", path_,
                                                  errno_text(written.error().code)));
                }
                plane = plane.subspan(*written);
            }
        }
        return {};
    }

private:
    const std::string path_;
    const UniqueFd file_;
};

}  // namespace

Attempt<std::unique_ptr<PictureSink>> create_file_sink(const std::string& path) {
    constexpr unsigned mode = 0666;
    auto file = sys::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (!file) {
        return job_failed(
            fmt::format("--to {}: it cannot be written: {}.", path, errno_text(file.error().code)));
    }
    return std::make_unique<FileSink>(path, std::move(*file));
}

}  // namespace v4lfence
