// SPDX-License-Identifier: MIT

#include "tools/trace/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tools/trace/canvas.hpp"

namespace v4lfence {

namespace {

// Okabe and Ito's colours, which colour-blind people can tell apart; they differ in brightness too.
constexpr Colour orange{0xe69f00};
constexpr Colour blue{0x0072b2};
constexpr Colour green{0x009e73};
constexpr Colour vermilion{0xd55e00};
constexpr Colour purple{0x9c4a86};
constexpr Colour sky{0x56b4e9};
constexpr Colour dark{0x2f2f2f};
constexpr Colour middle{0x6b6b6b};
constexpr Colour grid{0xdadada};
constexpr Colour stripe{0xf4f4f1};
constexpr Colour ink{0x1a1a1a};
constexpr Colour faint{0x5a5a5a};
constexpr Colour white{0xffffff};

constexpr double margin = 16;
constexpr double labels_width = 200;
constexpr double title_height = 52;
constexpr double axis_height = 24;
constexpr double group_height = 26;
constexpr double legend_line = 20;
constexpr double legend_height = 16 + 2 * legend_line;
constexpr double sample_width = 20;  ///< In the legend.
constexpr double frame_width = 32;  ///< Of a frame, where there is room.
constexpr double plot_width_min = 900;
constexpr double plot_width_max = 8000;
constexpr double tick_distance = 90;
constexpr std::size_t kernel_lanes_max = 12;

/// One line of the picture.
struct Row {
    double y = 0;
    double height = 0;
    std::size_t group = 0;
    std::size_t lane = 0;
};

struct KernelRow {
    std::string name;
    std::vector<const KernelEvent*> events;
    double y = 0;
};

double height_of(LaneKind kind) {
    switch (kind) {
    case LaneKind::InFences:
    case LaneKind::OutFences:
        return 11;
    case LaneKind::Commits:
        return 15;
    case LaneKind::Buffer:
    case LaneKind::Screen:
        break;
    }
    return 21;
}
constexpr double kernel_height = 17;

struct Style {
    SliceKind kind;
    Colour colour;
    const char* meaning;
};
constexpr std::array<Style, 7> styles = {{
    {SliceKind::Held, orange, "held: queued, waits for a fence"},
    {SliceKind::Given, blue, "given: the driver has it"},
    {SliceKind::Done, green, "done: waits to be dequeued"},
    {SliceKind::InFence, purple, "in-fence pending"},
    {SliceKind::OutFence, vermilion, "out-fence pending"},
    {SliceKind::Commit, sky, "committed, waits for its flip"},
    {SliceKind::OnScreen, dark, "on screen"},
}};

Colour colour_of(const LaneSlice& slice) {
    // Neighbours on screen are told apart by their number and by two greys.
    if (slice.kind == SliceKind::OnScreen && slice.job % 2 != 0) {
        return middle;
    }
    const auto* const found =
        std::find_if(styles.begin(), styles.end(),
                     [&slice](const Style& style) { return style.kind == slice.kind; });
    return found->colour;
}

Colour colour_of(const KernelEvent& event) {
    const std::string_view name = event.name;
    if (name.ends_with("_qbuf")) {
        return orange;
    }
    if (name.ends_with("buf_queue")) {
        return blue;
    }
    if (name.ends_with("buf_done")) {
        return green;
    }
    return event.system == "dma_fence" ? vermilion : middle;
}

/// 1, 2 or 5 times a power of ten.
double nice_step(double least) {
    const double power = std::pow(10.0, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= least) {
            return factor * power;
        }
    }
    return 10 * power;
}

class Timeline {
public:
    Timeline(const Recording& recording, const Lanes& lanes, const std::string& path)
        : recording_(recording),
          lanes_(lanes),
          plot_width_(std::clamp(static_cast<double>(count_frames(recording)) * frame_width,
                                 plot_width_min, plot_width_max)) {
        lay_out();
        canvas_.emplace(path, labels_width + plot_width_ + 2 * margin, height_);
    }

    Attempt<> draw() {
        draw_title();
        draw_axis();
        for (std::size_t i = 0; i < lanes_.groups.size(); ++i) {
            draw_group(i);
        }
        for (const Row& row : rows_) {
            draw_lane(row);
        }
        for (const LaneArrow& arrow : lanes_.arrows) {
            draw_arrow(arrow);
        }
        draw_kernel();
        draw_legend();
        return canvas_->save();
    }

private:
    double x_of(std::int64_t time_ns) const {
        const auto duration = static_cast<double>(std::max<std::int64_t>(duration_ns(), 1));
        return margin + labels_width +
               static_cast<double>(time_ns - lanes_.begin_ns) / duration * plot_width_;
    }
    std::int64_t duration_ns() const { return lanes_.end_ns - lanes_.begin_ns; }
    double right() const { return margin + labels_width + plot_width_; }

    void lay_out();
    void lay_out_kernel(double& y);
    void draw_title();
    void draw_axis();
    void draw_group(std::size_t at);
    void draw_marks(const std::vector<LaneMark>& marks, double y, bool with_text);
    void draw_lane(const Row& row);
    void draw_slice(const LaneSlice& slice, const Row& row);
    void draw_fence(const LaneSlice& slice, const Row& row);
    void draw_arrow(const LaneArrow& arrow);
    void draw_kernel();
    bool is_used(SliceKind kind) const;
    Point place_entry(const char* meaning);
    void draw_legend();
    void label(double y, const std::string& words, const TextStyle& style);

    const Recording& recording_;
    const Lanes& lanes_;
    double plot_width_;
    double height_ = 0;
    double lanes_bottom_ = 0;
    std::vector<double> group_y_;
    std::vector<Row> rows_;
    std::vector<KernelRow> kernel_;
    std::size_t kernel_left_out_ = 0;
    Point legend_;
    std::optional<Canvas> canvas_;
};

void Timeline::lay_out() {
    double y = margin + title_height + axis_height;
    for (std::size_t group = 0; group < lanes_.groups.size(); ++group) {
        group_y_.push_back(y);
        y += group_height;
        for (std::size_t lane = 0; lane < lanes_.groups[group].lanes.size(); ++lane) {
            const double height = height_of(lanes_.groups[group].lanes[lane].kind);
            rows_.push_back({y, height, group, lane});
            y += height;
        }
        y += 6;
    }
    lay_out_kernel(y);
    lanes_bottom_ = y;
    height_ = y + axis_height + legend_height + margin;
}

void Timeline::lay_out_kernel(double& y) {
    std::map<std::string, std::vector<const KernelEvent*>> found;
    for (const KernelEvent& event : recording_.kernel_events) {
        if (event.time_ns >= lanes_.begin_ns && event.time_ns <= lanes_.end_ns) {
            found[kernel_lane_name(event)].push_back(&event);
        }
    }
    if (found.empty()) {
        return;
    }
    group_y_.push_back(y);
    y += group_height;
    for (auto& [name, events] : found) {
        if (kernel_.size() == kernel_lanes_max) {
            kernel_left_out_ = found.size() - kernel_lanes_max;
            break;
        }
        kernel_.push_back({name, std::move(events), y});
        y += kernel_height;
    }
}

void Timeline::label(double y, const std::string& words, const TextStyle& style) {
    TextStyle fitting = style;
    while (fitting.size > 7 && canvas_->text_width(words, fitting) > labels_width - 12) {
        fitting.size -= 0.5;
    }
    const double x = style.align == Align::Right ? margin + labels_width - 8 : margin;
    canvas_->text({x, y}, words, fitting);
}

void Timeline::draw_title() {
    std::string who;
    for (const RecordedProcess& process : recording_.processes) {
        who += fmt::format("{}{} ({})", who.empty() ? "" : ", ", process.name, process.pid);
    }
    canvas_->text({margin, margin + 10},
                  who.empty() ? "v4lfence trace" : "v4lfence trace of " + who,
                  {.size = 16, .bold = true, .colour = ink});
    std::uint64_t lost = recording_.kernel_lost;
    for (const RecordedProcess& process : recording_.processes) {
        lost += process.lost;
    }
    std::string told = fmt::format("{} frames in {:.3f} s", count_frames(recording_),
                                   static_cast<double>(duration_ns()) / 1e9);
    told += recording_.kernel_events.empty()
                ? ", no kernel events"
                : fmt::format(", {} kernel events", recording_.kernel_events.size());
    told += lost != 0 ? fmt::format(", {} EVENTS LOST", lost) : "";
    canvas_->text({margin, margin + 32}, told, {.size = 12, .colour = faint});
}

void Timeline::draw_axis() {
    const double duration_ms = static_cast<double>(std::max<std::int64_t>(duration_ns(), 1)) / 1e6;
    const double step_ms = nice_step(duration_ms / plot_width_ * tick_distance);
    const double top = margin + title_height + axis_height;
    for (int i = 0; i * step_ms <= duration_ms; ++i) {
        const double ms = i * step_ms;
        const double x = std::round(x_of(lanes_.begin_ns + static_cast<std::int64_t>(ms * 1e6))) +
                         0.5;
        canvas_->line({x, top - 4}, {x, lanes_bottom_ + 4}, grid, 1);
        const std::string words = fmt::format("{:.{}f}{}", ms, step_ms < 1 ? 1 : 0,
                                              i == 0 ? " ms" : "");
        for (const double y : {top - 13, lanes_bottom_ + 13}) {
            canvas_->text({x, y}, words, {.size = 11, .align = Align::Centre, .colour = faint});
        }
    }
}

void Timeline::draw_group(std::size_t at) {
    const LaneGroup& group = lanes_.groups[at];
    const double y = group_y_[at];
    const pid_t pid = recording_.processes[recording_.sources[group.source].process].pid;
    canvas_->line({margin, y + 2}, {right(), y + 2}, middle, 1);
    label(y + 15,
          recording_.processes.size() > 1 ? fmt::format("{} ({})", group.name, pid) : group.name,
          {.size = 12, .bold = true, .colour = ink});
    draw_marks(group.marks, y + group_height - 3, true);
}

void Timeline::draw_marks(const std::vector<LaneMark>& marks, double y, bool with_text) {
    double free_from = 0;
    for (const LaneMark& mark : marks) {
        const double x = x_of(mark.time_ns);
        canvas_->triangle({x, y}, 7, mark.bad ? vermilion : ink);
        const TextStyle style{.size = 10, .bold = mark.bad, .colour = ink};
        const double width = canvas_->text_width(mark.text, style);
        if (!with_text || x < free_from) {
            continue;
        }
        // Beside it, and within the picture.
        const double at = x + 7 + width > right() ? x - 7 - width : x + 7;
        canvas_->text({at, y - 5}, mark.text, style);
        free_from = x + 14 + width;
    }
}

void Timeline::draw_lane(const Row& row) {
    const Lane& lane = lanes_.groups[row.group].lanes[row.lane];
    const bool is_fence = lane.kind == LaneKind::InFences || lane.kind == LaneKind::OutFences;
    if (!is_fence) {
        canvas_->fill({margin + labels_width, row.y + 1, plot_width_, row.height - 2}, stripe, 0.7);
    }
    label(row.y + row.height / 2, lane.name,
          {.size = is_fence ? 9.0 : 11.0, .align = Align::Right, .colour = is_fence ? faint : ink});
    for (const LaneSlice& slice : lane.slices) {
        is_fence ? draw_fence(slice, row) : draw_slice(slice, row);
    }
    draw_marks(lane.marks, row.y + 7, false);
}

void Timeline::draw_slice(const LaneSlice& slice, const Row& row) {
    const double x = x_of(slice.begin_ns);
    const double gap = slice.kind == SliceKind::Done || slice.kind == SliceKind::OnScreen ? 1 : 0;
    const double width = std::max(x_of(slice.end_ns) - x - gap, 1.0);
    const Box box{x, row.y + 2, width, row.height - 4};
    canvas_->fill(box, colour_of(slice));
    if (slice.error != 0) {
        canvas_->hatch(box, ink);
    }
    const bool of_display = slice.kind == SliceKind::OnScreen || slice.kind == SliceKind::Commit;
    if (!of_display && slice.kind != SliceKind::Given) {
        return;
    }
    const std::string words = of_display ? fmt::format("{}", slice.picture)
                                         : fmt::format("#{}", slice.job);
    const TextStyle style{.size = 10, .align = Align::Centre,
                          .colour = slice.kind == SliceKind::Commit ? ink : white};
    if (slice.error == 0 && canvas_->text_width(words, style) + 4 < width) {
        canvas_->text({x + width / 2, row.y + row.height / 2}, words, style);
    }
}

void Timeline::draw_fence(const LaneSlice& slice, const Row& row) {
    const Colour colour = colour_of(slice);
    const double y = row.y + row.height / 2;
    const double x = x_of(slice.begin_ns);
    const double end = x_of(slice.end_ns);
    canvas_->fill({x, y - 1.5, std::max(end - x, 1.0), 3}, colour);
    if (slice.error != 0) {
        canvas_->cross({end, y}, 3, ink);
    } else if (!slice.still_open) {
        canvas_->dot({end, y}, 3, colour);
    }
}

void Timeline::draw_arrow(const LaneArrow& arrow) {
    const auto point = [this](const LanePoint& at) -> std::optional<Point> {
        const auto row = std::find_if(rows_.begin(), rows_.end(), [&at](const Row& each) {
            return each.group == at.group && each.lane == at.lane;
        });
        if (row == rows_.end()) {
            return std::nullopt;
        }
        return Point{x_of(at.time_ns), row->y + row->height / 2};
    };
    const auto from = point(arrow.from);
    const auto to = point(arrow.to);
    if (from && to) {
        canvas_->arrow(*from, *to, ink, 0.45);
    }
}

void Timeline::draw_kernel() {
    if (kernel_.empty()) {
        return;
    }
    const double y = group_y_.back();
    canvas_->line({margin, y + 2}, {right(), y + 2}, middle, 1);
    label(y + 15,
          kernel_left_out_ == 0 ? "kernel"
                                : fmt::format("kernel ({} more not drawn)", kernel_left_out_),
          {.size = 12, .bold = true, .colour = ink});
    for (const KernelRow& row : kernel_) {
        canvas_->fill({margin + labels_width, row.y + 1, plot_width_, kernel_height - 2}, stripe,
                      0.7);
        label(row.y + kernel_height / 2, row.name,
              {.size = 10, .align = Align::Right, .colour = ink});
        for (const KernelEvent* event : row.events) {
            const double x = x_of(event->time_ns);
            canvas_->line({x, row.y + 3}, {x, row.y + kernel_height - 3}, colour_of(*event), 1.6);
        }
    }
}

/// Something of the kind is in the picture.
bool Timeline::is_used(SliceKind kind) const {
    return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) {
        const auto& slices = lanes_.groups[row.group].lanes[row.lane].slices;
        return std::any_of(slices.begin(), slices.end(),
                           [kind](const LaneSlice& slice) { return slice.kind == kind; });
    });
}

/// Where the sample of a legend's entry goes; the entries fill lines.
Point Timeline::place_entry(const char* meaning) {
    const TextStyle words{.size = 11, .colour = ink};
    const double width = sample_width + 8 + canvas_->text_width(meaning, words);
    if (legend_.x > margin && legend_.x + width > right()) {
        legend_ = {margin, legend_.y + legend_line};
    }
    const Point at = legend_;
    canvas_->text({at.x + sample_width + 8, at.y}, meaning, words);
    legend_.x += width + 22;
    return at;
}

void Timeline::draw_legend() {
    legend_ = {margin, lanes_bottom_ + axis_height + 16};
    for (const Style& style : styles) {
        if (!is_used(style.kind)) {
            continue;
        }
        const auto [x, y] = place_entry(style.meaning);
        if (style.kind == SliceKind::InFence || style.kind == SliceKind::OutFence) {
            canvas_->fill({x, y - 1.5, sample_width, 3}, style.colour);
            canvas_->dot({x + sample_width, y}, 3, style.colour);
        } else {
            canvas_->fill({x, y - 6, sample_width, 12}, style.colour);
        }
    }
    if (!lanes_.arrows.empty()) {
        const auto [x, y] = place_entry("the end of a fence, to what had waited for it");
        canvas_->arrow({x, y}, {x + sample_width, y}, ink, 0.6);
    }
    const auto [x, y] = place_entry("with an error");
    canvas_->fill({x, y - 6, sample_width, 12}, stripe);
    canvas_->hatch({x, y - 6, sample_width, 12}, ink);
}

/// Without the time before and after the action: a program takes its time to begin.
Lanes with_action_alone(const Lanes& lanes) {
    constexpr int margin_share = 60;
    std::int64_t begin_ns = lanes.end_ns;
    std::int64_t end_ns = lanes.begin_ns;
    for (const LaneGroup& group : lanes.groups) {
        for (const Lane& lane : group.lanes) {
            for (const LaneSlice& slice : lane.slices) {
                begin_ns = std::min(begin_ns, slice.begin_ns);
                end_ns = std::max(end_ns, slice.end_ns);
            }
        }
    }
    if (begin_ns >= end_ns) {
        return lanes;
    }
    Lanes cut = lanes;
    const std::int64_t around_ns = (end_ns - begin_ns) / margin_share;
    cut.begin_ns = std::max(lanes.begin_ns, begin_ns - around_ns);
    cut.end_ns = std::min(lanes.end_ns, end_ns + around_ns);
    for (LaneGroup& group : cut.groups) {
        std::erase_if(group.marks, [&cut](const LaneMark& mark) {
            return mark.time_ns < cut.begin_ns || mark.time_ns > cut.end_ns;
        });
    }
    return cut;
}

}  // namespace

Attempt<> draw_timeline(const Recording& recording, const Lanes& lanes, const std::string& path) {
    const Lanes drawn = with_action_alone(lanes);
    return Timeline(recording, drawn, path).draw();
}

}  // namespace v4lfence
