// SPDX-License-Identifier: MIT
//
// Run by the build: draws the glyphs of glyphs.hpp with cairo and writes them as a C++ source.
//
//     make_glyphs OUTPUT

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "v4lfence/drivers/picture/glyphs.hpp"

namespace {

using v4lfence::glyph_first;
using v4lfence::glyph_last;
using v4lfence::GlyphBox;

constexpr const char* family = "DejaVu Sans Mono";
constexpr int advances[] = {6, 8, 12, 16, 24, 40};

struct Closer {
    void operator()(cairo_t* cairo) const { cairo_destroy(cairo); }
    void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};

/// One character at a time, on a sheet with room on all sides of it.
class Sheet {
public:
    explicit Sheet(int advance)
        : advance_(advance),
          surface_(cairo_image_surface_create(CAIRO_FORMAT_A8, 3 * advance, 4 * advance)),
          cairo_(cairo_create(surface_.get())) {
        cairo_select_font_face(cairo_.get(), family, CAIRO_FONT_SLANT_NORMAL,
                               CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(cairo_.get(), 1000);
        cairo_set_font_size(cairo_.get(), 1000 * advance / width_of("0"));
        const std::unique_ptr<cairo_font_options_t, decltype(&cairo_font_options_destroy)> options(
            cairo_font_options_create(), cairo_font_options_destroy);
        cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
        cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_SLIGHT);
        cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
        cairo_set_font_options(cairo_.get(), options.get());
    }

    double width_of(const char* text) const {
        cairo_text_extents_t extents;
        cairo_text_extents(cairo_.get(), text, &extents);
        return extents.x_advance;
    }

    /// Appends the alpha values; the box of the character says where they are.
    GlyphBox draw(char character, std::vector<unsigned char>& alpha) {
        cairo_set_operator(cairo_.get(), CAIRO_OPERATOR_CLEAR);
        cairo_paint(cairo_.get());
        cairo_set_operator(cairo_.get(), CAIRO_OPERATOR_OVER);
        cairo_move_to(cairo_.get(), advance_, 3 * advance_);
        const char text[] = {character, '\0'};
        cairo_show_text(cairo_.get(), text);
        cairo_surface_flush(surface_.get());
        return cut(alpha);
    }

private:
    GlyphBox cut(std::vector<unsigned char>& alpha) const {
        int left = 3 * advance_;
        int right = 0;
        int top = 4 * advance_;
        int bottom = 0;
        for (int y = 0; y < 4 * advance_; ++y) {
            for (int x = 0; x < 3 * advance_; ++x) {
                if (*at(x, y) != 0) {
                    left = std::min(left, x);
                    right = std::max(right, x + 1);
                    top = std::min(top, y);
                    bottom = std::max(bottom, y + 1);
                }
            }
        }
        const auto offset = static_cast<std::uint32_t>(alpha.size());
        if (bottom == 0) {
            return {offset, 0, 0, 0, 0};
        }
        for (int y = top; y < bottom; ++y) {
            alpha.insert(alpha.end(), at(left, y), at(right, y));
        }
        return {offset, static_cast<std::int8_t>(left - advance_),
                static_cast<std::int8_t>(3 * advance_ - top),
                static_cast<std::uint8_t>(right - left), static_cast<std::uint8_t>(bottom - top)};
    }

    const unsigned char* at(int x, int y) const {
        return cairo_image_surface_get_data(surface_.get()) +
               y * cairo_image_surface_get_stride(surface_.get()) + x;
    }

    int advance_;
    std::unique_ptr<cairo_surface_t, Closer> surface_;
    std::unique_ptr<cairo_t, Closer> cairo_;
};

struct Drawn {
    std::vector<GlyphBox> boxes;
    std::vector<unsigned char> alpha;

    const GlyphBox& of(char character) const {
        return boxes[static_cast<std::size_t>(character - glyph_first)];
    }

    bool same(char first, char second) const {
        const GlyphBox& one = of(first);
        const GlyphBox& other = of(second);
        return one.width == other.width && one.height == other.height &&
               std::memcmp(&alpha[one.offset], &alpha[other.offset],
                           std::size_t{one.width} * one.height) == 0;
    }
};

/// What a missing font looks like: nothing, the same box for each character, or other widths.
bool is_the_font(const Drawn& drawn, const Sheet& sheet) {
    const bool all = std::all_of(drawn.boxes.begin() + 1, drawn.boxes.end(),
                                 [](const GlyphBox& box) { return box.width > 0; });
    return all && !drawn.same('0', '8') && !drawn.same('X', 'H') &&
           std::abs(sheet.width_of("i") - sheet.width_of("M")) < 0.1;
}

Drawn draw_all(Sheet& sheet) {
    Drawn drawn;
    for (char character = glyph_first; character <= glyph_last; ++character) {
        drawn.boxes.push_back(sheet.draw(character, drawn.alpha));
    }
    return drawn;
}

std::string table(const Drawn& drawn, int advance) {
    std::string text = "constexpr std::uint8_t alpha_" + std::to_string(advance) + "[] = {";
    for (std::size_t i = 0; i < drawn.alpha.size(); ++i) {
        text += (i % 24 == 0 ? "\n" : "") + std::to_string(drawn.alpha[i]) + ",";
    }
    return text + "};\n";
}

std::string entry(const Drawn& drawn, int advance) {
    int above = 0;
    int below = 0;
    std::string boxes;
    for (const GlyphBox& box : drawn.boxes) {
        above = std::max<int>(above, box.rise);
        below = std::max(below, box.height - box.rise);
        boxes += "{" + std::to_string(box.offset);
        for (const int value : {int{box.left}, int{box.rise}, int{box.width}, int{box.height}}) {
            boxes += "," + std::to_string(value);
        }
        boxes += "},\n";
    }
    return "{" + std::to_string(advance) + "," + std::to_string(drawn.of('H').height) + "," +
           std::to_string(above + below) + ",\n{{" + boxes + "}},\nalpha_" +
           std::to_string(advance) + "},\n";
}

int complain(const char* message) {
    std::fputs(message, stderr);
    return 1;
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 2) {
        return complain("usage: make_glyphs OUTPUT\n");
    }
    std::string tables;
    std::string entries;
    for (const int advance : advances) {
        Sheet sheet(advance);
        const Drawn drawn = draw_all(sheet);
        if (!is_the_font(drawn, sheet)) {
            return complain("make_glyphs: cairo does not find the font DejaVu Sans Mono; "
                            "install the package fonts-dejavu-core\n");
        }
        tables += table(drawn, advance);
        entries += entry(drawn, advance);
    }
    std::ofstream output(arguments[1]);
    output << "// SPDX-License-Identifier: MIT\n// Made by make_glyphs.cpp.\n\n"
              "#include \"v4lfence/drivers/picture/glyphs.hpp\"\n\n"
              "namespace v4lfence {\nnamespace {\n\n"
           << tables << "\nconstexpr GlyphSize sizes[] = {\n"
           << entries << "};\n\n}  // namespace\n\n"
           << "std::span<const GlyphSize> glyph_sizes() {\n    return sizes;\n}\n\n"
           << "}  // namespace v4lfence\n";
    output.close();
    return output ? 0 : complain("make_glyphs: cannot write the output\n");
}
