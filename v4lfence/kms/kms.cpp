// SPDX-License-Identifier: MIT
//
// v4lfence/kms.h: the C face of Display.

#include "v4lfence/kms.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "v4lfence/kms/c_display.hpp"
#include "v4lfence/kms/modes.hpp"
#include "v4lfence/kms/sized.hpp"

using namespace v4lfence;

namespace {

const SystemClock system_clock;

// Of the first version of each struct; a field that is added later leaves them as they are.
constexpr std::size_t first_choice_size =
    offsetof(v4lfence_display_choice, reserved) + sizeof(v4lfence_display_choice::reserved);
constexpr std::size_t first_info_size = 240;
constexpr std::size_t first_picture_size = 96;
constexpr std::size_t first_flip_size = 56;
constexpr std::size_t first_frame_size = 64;

template <std::size_t Size>
void copy_text(char (&target)[Size], const std::string& text) {
    const std::size_t length = std::min(text.size(), Size - 1);
    std::memcpy(target, text.data(), length);
    target[length] = '\0';
}

int failed(const v4lfence_display* display, KmsError error) {
    display->error = std::move(error.sentence);
    errno = -error.code;
    return -1;
}

template <class T>
int failed(const v4lfence_display* display, Outcome<T>&& outcome) {
    return failed(display, std::move(outcome.error()));
}

const char* or_nothing(const char* text) {
    return text != nullptr ? text : "";
}

/// `what`: "choice", "picture", "frame".
tl::unexpected<KmsError> wrong_struct(int code, const char* what) {
    return code == -E2BIG
               ? refuse(code, "the ", what, " has something of a later version of this library")
               : refuse(code, "the size of the ", what, "'s struct is not set");
}

tl::unexpected<KmsError> not_reserved(const char* what) {
    return refuse(-EINVAL, "what is reserved of the ", what, " is not zero");
}

Outcome<v4lfence_display_choice> read_choice(const v4lfence_display_choice* given) {
    if (given == nullptr) {
        return v4lfence_display_choice{};
    }
    const auto choice = read_sized(given, first_choice_size);
    if (!choice) {
        return wrong_struct(choice.error().code, "choice");
    }
    if (choice->plane > V4LFENCE_PLANE_OVERLAY) {
        return refuse(-EINVAL, "there is no kind of plane ", choice->plane);
    }
    if (!is_zero(choice->reserved)) {
        return not_reserved("choice");
    }
    return *choice;
}

Outcome<std::unique_ptr<v4lfence_display>> open_display(const v4lfence_display_choice* given) {
    const auto checked = read_choice(given);
    if (!checked) {
        return tl::unexpected<KmsError>(checked.error());
    }
    const v4lfence_display_choice& choice = *checked;
    DisplayWish wish;
    wish.connector = or_nothing(choice.connector);
    wish.mode = or_nothing(choice.mode);
    wish.plane = choice.plane == V4LFENCE_PLANE_OVERLAY ? PlaneType::Overlay : PlaneType::Primary;
    wish.width = choice.width;
    wish.height = choice.height;
    wish.fourcc = choice.fourcc;
    if (!wish.mode.empty() && !parse_mode_wish(wish.mode)) {
        return refuse(-EINVAL, not_a_mode(wish.mode));
    }
    auto card = open_card(or_nothing(choice.card), wish.connector);
    if (!card) {
        return tl::unexpected<KmsError>(std::move(card.error()));
    }
    auto display = Display::create(std::move(*card), wish, system_clock);
    if (!display) {
        return tl::unexpected<KmsError>(std::move(display.error()));
    }
    return std::make_unique<v4lfence_display>(v4lfence_display{std::move(*display), ""});
}

PictureMemory memory_of(const v4lfence_picture& picture) {
    PictureMemory memory;
    memory.size = {picture.width, picture.height};
    memory.fourcc = picture.fourcc;
    memory.modifier = picture.modifier;
    memory.plane_count = picture.plane_count;
    for (unsigned plane = 0; plane < framebuffer_planes_max; ++plane) {
        memory.planes[plane] = {picture.planes[plane].fd, picture.planes[plane].offset,
                                picture.planes[plane].stride};
    }
    return memory;
}

v4lfence_picture picture_of(const PictureMemory& memory) {
    v4lfence_picture picture{};
    picture.width = memory.size.width;
    picture.height = memory.size.height;
    picture.fourcc = memory.fourcc;
    picture.modifier = memory.modifier;
    picture.plane_count = memory.plane_count;
    for (unsigned plane = 0; plane < framebuffer_planes_max; ++plane) {
        const bool used = plane < memory.plane_count;
        picture.planes[plane].fd = used ? memory.planes[plane].dma_buf : -1;
        picture.planes[plane].offset = memory.planes[plane].offset;
        picture.planes[plane].stride = memory.planes[plane].stride;
    }
    return picture;
}

Outcome<v4lfence_picture> read_picture(const v4lfence_picture* given) {
    const auto picture = read_sized(given, first_picture_size);
    if (!picture) {
        return wrong_struct(picture.error().code, "picture");
    }
    if (picture->reserved != 0) {
        return not_reserved("picture");
    }
    return *picture;
}

Outcome<DisplayFrame> read_frame(const v4lfence_display_frame* given) {
    const auto frame = read_sized(given, first_frame_size);
    if (!frame) {
        return wrong_struct(frame.error().code, "frame");
    }
    if (frame->flags != 0) {
        return refuse(-EINVAL, "there is no flag ", frame->flags, " of a frame");
    }
    if (!is_zero(frame->reserved)) {
        return not_reserved("frame");
    }
    return DisplayFrame{
        frame->picture,
        frame->in_fence,
        {frame->source_x, frame->source_y, {frame->source_width, frame->source_height}}};
}

static_assert(sizeof(v4lfence_display_choice) == first_choice_size);
static_assert(sizeof(v4lfence_display_info) == first_info_size);
static_assert(sizeof(v4lfence_picture) == first_picture_size);
static_assert(sizeof(v4lfence_flip) == first_flip_size);
static_assert(sizeof(v4lfence_display_frame) == first_frame_size);

}  // namespace

extern "C" {

struct v4lfence_display* v4lfence_display_open(const struct v4lfence_display_choice* choice,
                                               char* why, size_t why_size) {
    auto opened = open_display(choice);
    if (opened) {
        return opened->release();
    }
    if (why != nullptr && why_size > 0) {
        std::snprintf(why, why_size, "%s", opened.error().sentence.c_str());
    }
    errno = -opened.error().code;
    return nullptr;
}

void v4lfence_display_close(struct v4lfence_display* display) {
    delete display;
}

const char* v4lfence_display_error(const struct v4lfence_display* display) {
    return display->error.c_str();
}

int v4lfence_display_get_info(const struct v4lfence_display* display,
                              struct v4lfence_display_info* info, size_t size) {
    if (size < first_info_size || info == nullptr) {
        return failed(display, wrong_struct(-EINVAL, "info").value());
    }
    const Display& shown = *display->display;
    v4lfence_display_info whole{};
    copy_text(whole.card, shown.facts().card);
    copy_text(whole.driver, shown.facts().driver);
    copy_text(whole.connector, shown.facts().connector);
    copy_text(whole.mode, mode_name(shown.mode()));
    whole.width = shown.mode().hdisplay;
    whole.height = shown.mode().vdisplay;
    whole.refresh_mhz = refresh_mhz(shown.mode());
    whole.connector_id = shown.ports().connector.id;
    whole.crtc_id = shown.ports().crtc.id;
    whole.plane_id = shown.ports().plane.id;
    whole.plane =
        shown.facts().plane == PlaneType::Overlay ? V4LFENCE_PLANE_OVERLAY : V4LFENCE_PLANE_PRIMARY;
    whole.in_fences = shown.ports().plane.in_fence != 0 ? 1 : 0;
    whole.out_fences = shown.ports().crtc.out_fence != 0 ? 1 : 0;
    whole.scales = shown.may_scale() ? 1 : 0;
    write_bytes(info, size, whole);
    return 0;
}

size_t v4lfence_display_formats(const struct v4lfence_display* display,
                                struct v4lfence_display_format* formats, size_t count) {
    const auto& known = display->display->formats();
    for (std::size_t i = 0; i < std::min(count, known.size()); ++i) {
        formats[i] = {known[i].fourcc, 0, known[i].modifier};
    }
    return known.size();
}

int v4lfence_display_import(struct v4lfence_display* display,
                            const struct v4lfence_picture* picture) {
    auto given = read_picture(picture);
    if (!given) {
        return failed(display, std::move(given));
    }
    for (const v4lfence_picture_plane& plane : given->planes) {
        if (plane.reserved != 0) {
            return failed(display, not_reserved("picture").value());
        }
    }
    auto number = display->display->import(memory_of(*given));
    return number ? *number : failed(display, std::move(number));
}

int v4lfence_display_allocate(struct v4lfence_display* display, struct v4lfence_picture* picture) {
    auto given = read_picture(picture);
    if (!given) {
        return failed(display, std::move(given));
    }
    auto number = display->display->allocate({given->width, given->height}, given->fourcc);
    if (!number) {
        return failed(display, std::move(number));
    }
    write_sized(picture, picture_of(*display->display->memory(*number)));
    return *number;
}

int v4lfence_display_forget(struct v4lfence_display* display, int picture) {
    auto forgotten = display->display->forget(picture);
    return forgotten ? 0 : failed(display, std::move(forgotten));
}

int v4lfence_display_show(struct v4lfence_display* display,
                          const struct v4lfence_display_frame* frame, int* out_fence) {
    auto given = read_frame(frame);
    if (!given) {
        return failed(display, std::move(given));
    }
    auto shown = display->display->show(*given, out_fence != nullptr);
    if (!shown) {
        return failed(display, std::move(shown));
    }
    if (out_fence != nullptr) {
        *out_fence = std::move(*shown).release();
    }
    return 0;
}

int v4lfence_display_set_mode(struct v4lfence_display* display, const char* mode) {
    auto set = display->display->set_mode(or_nothing(mode));
    return set ? 0 : failed(display, std::move(set));
}

int v4lfence_display_fd(const struct v4lfence_display* display) {
    return display->display->fd();
}

int v4lfence_display_next_flip(struct v4lfence_display* display, struct v4lfence_flip* flip) {
    if (!check_size(flip, first_flip_size)) {
        return failed(display, wrong_struct(-EINVAL, "flip").value());
    }
    auto taken = display->display->next_flip();
    if (!taken) {
        return failed(display, std::move(taken));
    }
    if (!*taken) {
        return 0;
    }
    v4lfence_flip whole{};
    whole.picture = (*taken)->picture;
    whole.previous = (*taken)->previous;
    whole.sequence = (*taken)->sequence;
    whole.time_ns = (*taken)->time_ns;
    write_sized(flip, whole);
    return 1;
}

}  // extern "C"
