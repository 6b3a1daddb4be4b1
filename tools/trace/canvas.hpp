// SPDX-License-Identifier: MIT
//
// Canvas: shapes and words on a PNG or an SVG file. Lengths are pixels, from the top left.

#pragma once

#include <cairo.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tools/failure.hpp"

namespace v4lfence {

/// 0xrrggbb
enum class Colour : std::uint32_t {};

struct Point {
    double x = 0;
    double y = 0;
};

struct Box {
    double x = 0;
    double y = 0;
    double width = 0;
    double height = 0;
};

enum class Align : std::uint8_t { Left, Centre, Right };

struct TextStyle {
    double size = 11;
    bool bold = false;
    Align align = Align::Left;
    Colour colour{0x1a1a1a};
};

class Canvas {
public:
    /// SVG where the name ends in ".svg".
    Canvas(std::string path, double width, double height);

    void fill(const Box& box, Colour colour, double opacity = 1);
    /// Diagonal stripes over it: legible without any colour.
    void hatch(const Box& box, Colour colour);
    void line(Point from, Point to, Colour colour, double width, double opacity = 1);
    void dot(Point centre, double radius, Colour colour);
    void cross(Point centre, double radius, Colour colour);
    void triangle(Point tip, double size, Colour colour);
    /// Bent, with a head at its end.
    void arrow(Point from, Point to, Colour colour, double opacity);
    /// `at` is on its middle line.
    void text(Point at, const std::string& words, const TextStyle& style);
    double text_width(const std::string& words, const TextStyle& style);

    /// Writes the file. Fails with a sentence.
    Attempt<> save();

private:
    struct FreeSurface {
        void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
    };
    struct FreeContext {
        void operator()(cairo_t* context) const { cairo_destroy(context); }
    };

    void set(Colour colour, double opacity = 1);
    void set_font(const TextStyle& style);

    std::string path_;
    bool is_svg_;
    std::unique_ptr<cairo_surface_t, FreeSurface> surface_;
    std::unique_ptr<cairo_t, FreeContext> context_;
};

}  // namespace v4lfence
