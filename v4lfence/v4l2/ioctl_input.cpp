// SPDX-License-Identifier: MIT
//
// Inputs, analog standards and DV timings.

#include <array>
#include <cstring>
#include <string_view>

#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/handlers.hpp"

namespace v4lfence::ioctls {

namespace {

// --- standards -----------------------------------------------------------------------------------

struct StandardName {
    v4l2_std_id id;
    const char* name;
};

/// The names that the kernel's enumeration has: groups before their members.
constexpr std::array standard_names{
    StandardName{V4L2_STD_NTSC, "NTSC"},           StandardName{V4L2_STD_NTSC_M, "NTSC-M"},
    StandardName{V4L2_STD_NTSC_M_JP, "NTSC-M-JP"}, StandardName{V4L2_STD_NTSC_M_KR, "NTSC-M-KR"},
    StandardName{V4L2_STD_NTSC_443, "NTSC-443"},   StandardName{V4L2_STD_PAL, "PAL"},
    StandardName{V4L2_STD_PAL_BG, "PAL-BG"},       StandardName{V4L2_STD_PAL_B, "PAL-B"},
    StandardName{V4L2_STD_PAL_B1, "PAL-B1"},       StandardName{V4L2_STD_PAL_G, "PAL-G"},
    StandardName{V4L2_STD_PAL_H, "PAL-H"},         StandardName{V4L2_STD_PAL_I, "PAL-I"},
    StandardName{V4L2_STD_PAL_DK, "PAL-DK"},       StandardName{V4L2_STD_PAL_D, "PAL-D"},
    StandardName{V4L2_STD_PAL_D1, "PAL-D1"},       StandardName{V4L2_STD_PAL_K, "PAL-K"},
    StandardName{V4L2_STD_PAL_M, "PAL-M"},         StandardName{V4L2_STD_PAL_N, "PAL-N"},
    StandardName{V4L2_STD_PAL_Nc, "PAL-Nc"},       StandardName{V4L2_STD_PAL_60, "PAL-60"},
    StandardName{V4L2_STD_SECAM, "SECAM"},         StandardName{V4L2_STD_SECAM_B, "SECAM-B"},
    StandardName{V4L2_STD_SECAM_G, "SECAM-G"},     StandardName{V4L2_STD_SECAM_H, "SECAM-H"},
    StandardName{V4L2_STD_SECAM_DK, "SECAM-DK"},   StandardName{V4L2_STD_SECAM_D, "SECAM-D"},
    StandardName{V4L2_STD_SECAM_K, "SECAM-K"},     StandardName{V4L2_STD_SECAM_K1, "SECAM-K1"},
    StandardName{V4L2_STD_SECAM_L, "SECAM-L"},     StandardName{V4L2_STD_SECAM_LC, "SECAM-Lc"},
};

/// Errors: ENOTTY no input has any; ENODATA this one has none.
Result<v4l2_std_id> standards(FileHandle& file) {
    DeviceOps& ops = file.device().ops();
    if (const v4l2_std_id known = ops.standards()) {
        return known;
    }
    const auto current = ops.g_std();
    const bool lacking = !current && current.error().code == -ENOTTY;
    return fail(lacking ? -ENOTTY : -ENODATA, "the input has no standards");
}

void describe(const StandardName& name, v4l2_standard& standard) {
    const bool fast = (name.id & V4L2_STD_525_60) != 0;
    standard.id = name.id;
    const std::string_view text = name.name;
    std::memcpy(standard.name, text.data(), text.size());
    standard.frameperiod = fast ? v4l2_fract{1001, 30000} : v4l2_fract{1, 25};
    standard.framelines = fast ? 525 : 625;
}

}  // namespace

Result<> enum_input(FileHandle& file, Call& call) {
    return file.device().ops().enum_input(call.as<v4l2_input>());
}

Result<> g_input(FileHandle& file, Call& call) {
    call.word() = V4LFENCE_TRY(file.device().ops().g_input());
    return {};
}

Result<> s_input(FileHandle& file, Call& call) {
    return file.device().ops().s_input(call.word());
}

/// A member is told of unless a smaller group with it was; the three great ones only come first.
Result<> enum_std(FileHandle& file, Call& call) {
    auto& standard = call.as<v4l2_standard>();
    v4l2_std_id left = V4LFENCE_TRY(standards(file));
    std::uint32_t index = 0;
    for (const StandardName& name : standard_names) {
        if ((name.id & left) != name.id) {
            continue;
        }
        if (index++ == standard.index) {
            describe(name, standard);
            return {};
        }
        const bool great =
            name.id == V4L2_STD_NTSC || name.id == V4L2_STD_PAL || name.id == V4L2_STD_SECAM;
        left &= great ? ~v4l2_std_id{0} : ~name.id;
    }
    return fail(-EINVAL, "no more standards");
}

Result<> g_std(FileHandle& file, Call& call) {
    V4LFENCE_TRY(standards(file));
    call.as<v4l2_std_id>() = V4LFENCE_TRY(file.device().ops().g_std());
    return {};
}

Result<> s_std(FileHandle& file, Call& call) {
    const v4l2_std_id wanted = call.as<v4l2_std_id>() & V4LFENCE_TRY(standards(file));
    if (wanted == 0) {
        return fail(-EINVAL, "not a standard of the input");
    }
    return file.device().ops().s_std(wanted);
}

Result<> querystd(FileHandle& file, Call& call) {
    const v4l2_std_id known = V4LFENCE_TRY(standards(file));
    call.as<v4l2_std_id>() = V4LFENCE_TRY(file.device().ops().querystd()) & known;
    return {};
}

// --- DV timings ----------------------------------------------------------------------------------

namespace {

/// There are no pads on a video device.
Result<> check_pad(std::uint32_t pad) {
    return pad == 0 ? Result<>{} : fail(-EINVAL, "a pad of a video device");
}

}  // namespace

Result<> enum_dv_timings(FileHandle& file, Call& call) {
    auto& timings = call.as<v4l2_enum_dv_timings>();
    V4LFENCE_TRY(check_pad(timings.pad));
    return file.device().ops().enum_dv_timings(timings);
}

Result<> g_dv_timings(FileHandle& file, Call& call) {
    return file.device().ops().g_dv_timings(call.as<v4l2_dv_timings>());
}

Result<> s_dv_timings(FileHandle& file, Call& call) {
    return file.device().ops().s_dv_timings(call.as<v4l2_dv_timings>());
}

Result<> query_dv_timings(FileHandle& file, Call& call) {
    return file.device().ops().query_dv_timings(call.as<v4l2_dv_timings>());
}

Result<> dv_timings_cap(FileHandle& file, Call& call) {
    auto& capabilities = call.as<v4l2_dv_timings_cap>();
    V4LFENCE_TRY(check_pad(capabilities.pad));
    return file.device().ops().dv_timings_cap(capabilities);
}

}  // namespace v4lfence::ioctls
