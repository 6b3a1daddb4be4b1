// SPDX-License-Identifier: MIT

#include "tools/trace/canvas.hpp"

#include <cairo-svg.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace v4lfence {

namespace {

double channel(Colour colour, int shift) {
    return static_cast<double>(static_cast<std::uint32_t>(colour) >> shift & 0xffU) / 255.0;
}

}  // namespace

Canvas::Canvas(std::string path, double width, double height)
    : path_(std::move(path)),
      is_svg_(path_.ends_with(".svg")),
      surface_(is_svg_ ? cairo_svg_surface_create(path_.c_str(), width, height)
                       : cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                                    static_cast<int>(std::ceil(width)),
                                                    static_cast<int>(std::ceil(height)))),
      context_(cairo_create(surface_.get())) {
    fill({0, 0, width, height}, Colour{0xffffff});
}

void Canvas::set(Colour colour, double opacity) {
    cairo_set_source_rgba(context_.get(), channel(colour, 16), channel(colour, 8),
                          channel(colour, 0), opacity);
}

void Canvas::fill(const Box& box, Colour colour, double opacity) {
    set(colour, opacity);
    cairo_rectangle(context_.get(), box.x, box.y, box.width, box.height);
    cairo_fill(context_.get());
}

void Canvas::hatch(const Box& box, Colour colour) {
    constexpr double distance = 5;
    cairo_save(context_.get());
    cairo_rectangle(context_.get(), box.x, box.y, box.width, box.height);
    cairo_clip(context_.get());
    for (double x = box.x - box.height; x < box.x + box.width; x += distance) {
        line({x, box.y + box.height}, {x + box.height, box.y}, colour, 1.2);
    }
    cairo_restore(context_.get());
}

void Canvas::line(Point from, Point to, Colour colour, double width, double opacity) {
    set(colour, opacity);
    cairo_set_line_width(context_.get(), width);
    cairo_move_to(context_.get(), from.x, from.y);
    cairo_line_to(context_.get(), to.x, to.y);
    cairo_stroke(context_.get());
}

void Canvas::dot(Point centre, double radius, Colour colour) {
    set(colour);
    cairo_arc(context_.get(), centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
    cairo_fill(context_.get());
}

void Canvas::cross(Point centre, double radius, Colour colour) {
    line({centre.x - radius, centre.y - radius}, {centre.x + radius, centre.y + radius}, colour, 2);
    line({centre.x - radius, centre.y + radius}, {centre.x + radius, centre.y - radius}, colour, 2);
}

void Canvas::triangle(Point tip, double size, Colour colour) {
    set(colour);
    cairo_move_to(context_.get(), tip.x, tip.y);
    cairo_line_to(context_.get(), tip.x - size / 2, tip.y - size);
    cairo_line_to(context_.get(), tip.x + size / 2, tip.y - size);
    cairo_close_path(context_.get());
    cairo_fill(context_.get());
}

void Canvas::arrow(Point from, Point to, Colour colour, double opacity) {
    constexpr double head = 4;
    const double bend = std::max(6.0, std::abs(to.x - from.x) / 2);
    set(colour, opacity);
    cairo_set_line_width(context_.get(), 1);
    cairo_move_to(context_.get(), from.x, from.y);
    cairo_curve_to(context_.get(), from.x + bend, from.y, to.x - bend, to.y, to.x - head, to.y);
    cairo_stroke(context_.get());
    cairo_move_to(context_.get(), to.x, to.y);
    cairo_line_to(context_.get(), to.x - head - 1, to.y - head / 2 - 0.5);
    cairo_line_to(context_.get(), to.x - head - 1, to.y + head / 2 + 0.5);
    cairo_close_path(context_.get());
    cairo_fill(context_.get());
}

void Canvas::set_font(const TextStyle& style) {
    cairo_select_font_face(context_.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(context_.get(), style.size);
}

double Canvas::text_width(const std::string& words, const TextStyle& style) {
    set_font(style);
    cairo_text_extents_t extents{};
    cairo_text_extents(context_.get(), words.c_str(), &extents);
    return extents.x_advance;
}

void Canvas::text(Point at, const std::string& words, const TextStyle& style) {
    const double width = text_width(words, style);
    cairo_font_extents_t font{};
    cairo_font_extents(context_.get(), &font);
    double x = at.x;
    if (style.align != Align::Left) {
        x -= style.align == Align::Centre ? width / 2 : width;
    }
    set(style.colour);
    const double y = at.y + (font.ascent - font.descent) / 2;
    cairo_move_to(context_.get(), std::round(x), std::round(y));
    cairo_show_text(context_.get(), words.c_str());
}

Attempt<> Canvas::save() {
    cairo_status_t status = cairo_status(context_.get());
    context_.reset();
    if (status == CAIRO_STATUS_SUCCESS) {
        if (is_svg_) {
            cairo_surface_finish(surface_.get());
            status = cairo_surface_status(surface_.get());
        } else {
            status = cairo_surface_write_to_png(surface_.get(), path_.c_str());
        }
    }
    if (status != CAIRO_STATUS_SUCCESS) {
        return job_failed(fmt::format("{}: {}.", path_, cairo_status_to_string(status)));
    }
    return {};
}

}  // namespace v4lfence
