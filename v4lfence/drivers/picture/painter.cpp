// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/painter.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "v4lfence/drivers/picture/grey_pen.hpp"

namespace v4lfence {
namespace {

constexpr std::uint8_t band_shade = 16;
constexpr std::uint8_t label_ink = 176;
constexpr std::uint32_t facts_columns = 29;  // "#4294967295  1036800.123456 s": twelve days

/// Brightness and contrast, for each of red, green and blue.
class Exposure {
public:
    explicit Exposure(const PictureSettings& settings) {
        for (int value = 0; value < 256; ++value) {
            const int lit =
                (value - 128) * settings.contrast / 128 + 128 + (settings.brightness - 128) * 2;
            values_[static_cast<unsigned>(value)] =
                static_cast<std::uint8_t>(std::clamp(lit, 0, 255));
        }
    }

    void expose(std::span<Pixel> pixels) const {
        for (Pixel& pixel : pixels) {
            pixel = {values_[pixel[0]], values_[pixel[1]], values_[pixel[2]]};
        }
    }

private:
    std::array<std::uint8_t, 256> values_;
};

/// Number and time for people: "#000123  1036800.123456 s".
class FactsText {
public:
    explicit FactsText(const FrameFacts& facts) {
        constexpr std::uint64_t ns_per_s = 1'000'000'000;
        const int length =
            std::snprintf(text_.data(), text_.size(), "#%06u  %llu.%06llu s", facts.sequence,
                          static_cast<unsigned long long>(facts.captured_at_ns / ns_per_s),
                          static_cast<unsigned long long>(facts.captured_at_ns % ns_per_s / 1000));
        length_ = static_cast<std::size_t>(length);
    }

    std::string_view view() const { return {text_.data(), length_}; }

private:
    std::array<char, 48> text_;
    std::size_t length_;
};

struct Labels {
    TextStyle style;
    std::uint32_t top_baseline;
    std::uint32_t bottom_baseline;
    std::uint32_t x;      ///< Where the facts begin.
    std::uint32_t right;  ///< Where the labels end.
};

Labels labels_of(const FramePlan& plan, std::uint32_t width, std::uint32_t height) {
    const GlyphSize& glyphs = glyphs_within(std::min(width / 80, plan.top_band / 2));
    const std::uint32_t below = (plan.stamp.height() + glyphs.capital) / 2;
    return {{&glyphs, 255, band_shade},
            below,
            height - plan.stamp.height() + below,
            plan.stamp.width() + glyphs.advance,
            width - glyphs.advance};
}

std::string rate_of(const FrameInterval& interval) {
    if (interval.numerator == 0) {
        return "free-running";
    }
    std::array<char, 32> text;
    const double rate = 1.0 * interval.denominator / interval.numerator;
    const bool whole = interval.denominator % interval.numerator == 0;
    const int length = std::snprintf(text.data(), text.size(), "%.*f fps", whole ? 0 : 2, rate);
    return {text.data(), static_cast<std::size_t>(length)};
}

/// The uncompressed picture that is painted for a layout.
Result<PictureLayout> raw_layout_of(const PictureLayout& layout) {
    BytesPerLine strides{};
    for (unsigned i = 0; i < layout.plane_count && i < picture_planes_max; ++i) {
        strides[i] = layout.planes[i].bytesperline;
    }
    const PictureLayout same =
        V4LFENCE_TRY(layout_of(layout.fourcc, layout.width, layout.height, strides));
    if (same != layout) {
        return fail(-EINVAL, "Painter::create");
    }
    if (find_picture_format(layout.fourcc)->family != PictureFamily::Jpeg) {
        return layout;
    }
    return layout_of(V4L2_PIX_FMT_YUV420, layout.width, layout.height,
                     {jpeg_row_width(layout.width), 0, 0});
}

/// What the encoder reads to the right of the picture is what the picture ends with.
void fill_behind_rows(const Surface& picture) {
    for (unsigned i = 0; i < picture.component_count(); ++i) {
        const ComponentLayout& component = picture.component(i);
        for (std::uint32_t y = 0; y < component.rows; ++y) {
            std::byte* const end = picture.row(i, y) + component.row_bytes;
            std::fill_n(end, component.stride - component.row_bytes, end[-1]);
        }
    }
}

}  // namespace

Result<Painter> Painter::create(const PictureLayout& layout, const PictureSettings& settings) {
    const PictureLayout raw = V4LFENCE_TRY(raw_layout_of(layout));
    Painter painter(layout, raw, V4LFENCE_TRY(PictureMemory::create(raw)));
    if (raw != layout) {
        painter.jpeg_.emplace(
            Jpeg{V4LFENCE_TRY(JpegEncoder::create()), V4LFENCE_TRY(PictureMemory::create(raw))});
    }
    V4LFENCE_TRY(painter.change(settings));
    return painter;
}

Coding Painter::coding() const {
    return jpeg_ ? Coding::Full : coding_of(*find_picture_format(raw_.fourcc));
}

Result<void> Painter::change(const PictureSettings& settings) {
    const FramePlan plan = frame_plan(raw_.width, raw_.height, settings.pattern);
    TargetPath path = target_path(plan.scene, settings.mirror);
    const Exposure exposure(settings);
    std::optional<TargetImage> target;
    if (path.size > 0 && !is_solid(settings.pattern)) {
        target = V4LFENCE_TRY(
            TargetImage::create(raw_.fourcc, path.size, settings.mirror, [&](auto pixels) {
                exposure.expose(pixels);
                to_coding(pixels, coding());
            }));
    }
    plan_ = plan;
    path_ = std::move(path);
    target_ = std::move(target);
    draw_card(settings);
    return {};
}

void Painter::draw_card(const PictureSettings& settings) {
    const Surface surface(raw_, card_.planes());
    const Card card(settings.pattern, plan_.scene);
    const Exposure exposure(settings);
    const std::uint32_t width = raw_.width;
    std::vector<Pixel> pair(std::size_t{width} * 2);
    for (std::uint32_t y = 0; y < raw_.height; y += 2) {
        for (std::uint32_t line = 0; line < 2; ++line) {
            const auto row = std::span(pair).subspan(std::size_t{line} * width, width);
            if (y < plan_.scene.y || y >= plan_.scene.y + plan_.scene.height) {
                std::fill(row.begin(), row.end(), Pixel{band_shade, band_shade, band_shade});
                continue;
            }
            card.draw_row(y + line, row);
            exposure.expose(row);
            if (settings.mirror) {
                std::reverse(row.begin(), row.end());
            }
            const StampPlan& stamp = plan_.stamp;
            if (y < stamp.height() || (stamp.has_bottom && y >= raw_.height - stamp.height())) {
                std::fill_n(row.begin(), stamp.width(), Pixel{});
            }
        }
        to_coding(pair, coding());
        surface.put_rows(y, std::span(pair).first(width), std::span(pair).last(width));
    }
    if (plan_.has_text) {
        draw_labels(surface, settings);
    }
}

void Painter::draw_labels(const Surface& card, const PictureSettings& settings) const {
    const GreyPen pen(card, coding());
    Labels labels = labels_of(plan_, raw_.width, raw_.height);
    labels.style.ink = label_ink;
    const std::uint32_t advance = labels.style.glyphs->advance;
    const std::uint32_t left = labels.x + facts_columns * advance;
    const auto label = [&](const std::string& text, std::uint32_t baseline) {
        const std::size_t length = text.size() * advance;
        if (left + advance + length <= labels.right) {
            const auto x = static_cast<std::uint32_t>(labels.right - length);
            pen.text({x, baseline, labels.right}, labels.style, text);
        }
    };
    label(settings.name, labels.top_baseline);
    label(std::to_string(layout_.width) + "x" + std::to_string(layout_.height) + " " +
              find_picture_format(layout_.fourcc)->name + " " + rate_of(settings.interval),
          labels.bottom_baseline);
}

Result<Painter::BytesUsed> Painter::paint(std::span<const std::span<std::byte>> planes,
                                          const FrameFacts& facts) {
    if (planes.size() != layout_.plane_count) {
        return fail(-EINVAL, "Painter::paint");
    }
    BytesUsed used{};
    for (unsigned i = 0; i < layout_.plane_count; ++i) {
        used[i] = layout_.planes[i].sizeimage;
        if (planes[i].size() < used[i]) {
            return fail(-EINVAL, "Painter::paint");
        }
    }
    if (jpeg_) {
        return paint_jpeg(planes[0].first(layout_.planes[0].sizeimage), facts);
    }
    paint_raw(planes, facts);
    return used;
}

void Painter::paint_raw(std::span<const std::span<std::byte>> planes,
                        const FrameFacts& facts) const {
    for (unsigned i = 0; i < raw_.plane_count; ++i) {
        const std::span<std::byte> from = card_.planes()[i];
        std::memcpy(planes[i].data(), from.data(), from.size());
    }
    const Surface to(raw_, planes);
    if (target_) {
        target_->draw(path_.at(facts.sequence), Surface(raw_, card_.planes()), to);
    }
    draw_facts(to, facts);
}

void Painter::draw_facts(const Surface& to, const FrameFacts& facts) const {
    const GreyPen pen(to, coding());
    const StampPlan& stamp = plan_.stamp;
    pen.stamp(stamp, 0, stamp_bits(stamp, {facts.sequence, facts.captured_at_ns}));
    std::uint32_t width = stamp.width();
    if (plan_.has_text) {
        const Labels labels = labels_of(plan_, raw_.width, raw_.height);
        width = std::min(labels.right, labels.x + facts_columns * labels.style.glyphs->advance);
        pen.text({labels.x, labels.top_baseline, width}, labels.style, FactsText(facts).view());
    }
    if (stamp.has_bottom) {
        pen.repeat(0, raw_.height - stamp.height(), width, stamp.height());
    }
}

Result<Painter::BytesUsed> Painter::paint_jpeg(std::span<std::byte> to, const FrameFacts& facts) {
    paint_raw(jpeg_->frame.planes(), facts);
    const Surface picture(raw_, jpeg_->frame.planes());
    fill_behind_rows(picture);
    const std::size_t used = V4LFENCE_TRY(jpeg_->encoder.encode(picture, to));
    return BytesUsed{static_cast<std::uint32_t>(used), 0, 0};
}

}  // namespace v4lfence
