// SPDX-License-Identifier: MIT
//
// The tables of cases, one per theme, in the order they are run.

#pragma once

#include <span>

#include "conformance/case.hpp"

namespace v4lfence {

std::span<const Case> query_cases();
std::span<const Case> input_error_cases();
std::span<const Case> call_error_cases();
std::span<const Case> in_fence_cases();
std::span<const Case> fence_kind_cases();
std::span<const Case> out_fence_cases();
std::span<const Case> order_cases();
std::span<const Case> readiness_cases();
std::span<const Case> stream_off_cases();
std::span<const Case> error_cases();
std::span<const Case> refusal_cases();
std::span<const Case> deadline_cases();
std::span<const Case> memory_cases();
std::span<const Case> buffer_cases();
std::span<const Case> descriptor_cases();
std::span<const Case> process_cases();
std::span<const Case> handle_cases();
std::span<const Case> adoption_cases();
std::span<const Case> thread_cases();
std::span<const Case> minimum_cases();
std::span<const Case> device_error_cases();
std::span<const Case> provider_cases();
std::span<const Case> provider_merge_cases();
std::span<const Case> implicit_cases();
std::span<const Case> vb2_request_cases();
std::span<const Case> vb2_state_cases();
std::span<const Case> vb2_frame_cases();
std::span<const Case> vb2_memory_cases();
std::span<const Case> vb2_handle_cases();
std::span<const Case> vb2_waiting_cases();
std::span<const Case> unplug_cases();

}  // namespace v4lfence
