// SPDX-License-Identifier: MIT
//
// `v4lfence conform`: judges a device by the cases of the conformance library.

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sync_file.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "conformance/runner.hpp"
#include "tools/commands.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/uapi_fences.h"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence conform --list                          every case and what it promises\n"
    "  v4lfence conform virtual:camera                  all of them, on a camera of our own\n"
    "  v4lfence conform /dev/video0                     on a kernel's node, through the library\n"
    "  v4lfence conform /dev/video0 --case 'qbuf@*'     those that a glob names\n"
    "  v4lfence conform /dev/video0 --fences vgem --format junit --output report.xml\n"
    "  v4lfence conform /dev/video0 --raw               the node as the kernel has it\n"
    "  v4lfence exec --wrap /dev/video0 -- v4lfence conform --preloaded /dev/video0\n"
    "\n"
    "Judged is what the device does with fences, and plain videobuf2 behaviour (vb2@*).\n"
    "Nobody else may use it meanwhile. Of a node that knows no fences, as with --raw on\n"
    "a stock kernel, this is said once, and only the plain behaviour is judged.\n"
    "\n"
    "Exit status: 0 no case failed, 1 one did, 2 wrong usage, 77 the machine lacks\n"
    "something (the message says what).";

struct ConformArguments {
    Options options;
    std::string format = "text";
    std::string output;
    bool list = false;
    bool raw = false;
    bool preloaded = false;
    bool json = false;
};

int last_expiry(int fd, ExpiryReport* report) {
    v4lfence_expiry expiry{};
    if (v4lfence_last_expiry(fd, &expiry) < 0) {
        return -1;
    }
    *report = {expiry.count,         expiry.type,        expiry.index,
               expiry.error,         expiry.bound != 0,  expiry.queued_at_ns,
               expiry.expired_at_ns, expiry.driver_name, expiry.timeline_name};
    return 0;
}

int get_stats(CallStats* stats) {
    v4lfence_stats counters{};
    if (v4lfence_get_stats(&counters, sizeof(counters)) < 0) {
        return -1;
    }
    *stats = {counters.wakeups,   counters.fences_made, counters.fences_ended,
              counters.in_fences, counters.threads,     counters.fenced_files};
    return 0;
}

DeviceCalls library_calls() {
    DeviceCalls calls;
    calls.open = v4lfence_open;
    calls.close = v4lfence_close;
    calls.ioctl = v4lfence_ioctl;
    calls.mmap = v4lfence_mmap;
    calls.munmap = v4lfence_munmap;
    calls.fcntl = raw_calls().fcntl;
    calls.read = v4lfence_read;
    calls.poll = v4lfence_poll;
    calls.select = v4lfence_select;
    calls.epoll_ctl = v4lfence_epoll_ctl;
    calls.set_provider = v4lfence_set_provider;
    calls.set_deadline = v4lfence_set_deadline;
    calls.set_implicit = v4lfence_set_implicit;
    calls.set_rfc_caps = v4lfence_set_rfc_caps;
    calls.last_expiry = last_expiry;
    calls.get_stats = get_stats;
    calls.merge = v4lfence_fence_merge;
    return calls;
}

/// What a program of the kernel's interface has: the C library, or who stands in front of it.
int merge_by_ioctl(const char* name, int first, int second) {
    sync_merge_data merge{};
    std::strncpy(merge.name, name, sizeof(merge.name) - 1);
    merge.fd2 = second;
    return raw_calls().ioctl(first, SYNC_IOC_MERGE, &merge) < 0 ? -1 : merge.fence;
}

DeviceCalls preloaded_calls() {
    DeviceCalls calls = raw_calls();
    calls.preloaded = true;
    calls.merge = merge_by_ioctl;
    return calls;
}

DeviceCalls chosen_calls(const ConformArguments& arguments) {
    return arguments.raw ? raw_calls() : arguments.preloaded ? preloaded_calls() : library_calls();
}

/// Does anybody answer the query for a file that was opened by the C library?
bool has_preloaded_fences(const std::string& path) {
    const auto file = sys::open(path.c_str(), O_RDWR | O_NONBLOCK);
    if (!file) {
        return false;
    }
    v4l2_query_fences fences{};
    fences.size = sizeof(fences);
    const auto answer = sys::ioctl(file->get(), VIDIOC_QUERY_FENCES, &fences);
    return answer || answer.error().code != -ENOTTY;
}

/// Writes the report as it grows, or once it is whole.
ExitStatus judge(ConformArguments& arguments) {
    Options& options = arguments.options;
    options.calls = chosen_calls(arguments);
    const bool text = arguments.format == "text";
    const FileSink::Format format = arguments.format == "junit" ? to_junit : to_json;
    std::ofstream file;
    if (!arguments.output.empty()) {
        // Before hours of work, not after them.
        file.open(arguments.output, std::ios::app);
        if (!file) {
            return report_failure("conform", {ExitStatus::WrongUsage,
                                              fmt::format("--output {}: it cannot be written: {}.",
                                                          arguments.output, errno_text(errno))});
        }
    }
    TextSink text_sink(file.is_open() ? static_cast<std::ostream&>(file) : std::cout);
    FileSink file_sink(arguments.output, format);
    if (text) {
        options.sinks.push_back(&text_sink);
    } else if (file.is_open()) {
        options.sinks.push_back(&file_sink);
    }
    const Report report = run(options);
    if (!text && !file.is_open()) {
        fmt::print("{}", format(report));
    }
    if (!report.lacking.empty()) {
        return report_failure("conform", {ExitStatus::MachineLacks, report.lacking});
    }
    if (!(text ? std::cout.flush().good() && file.flush().good() : file_sink.good())) {
        return report_failure("conform",
                              {ExitStatus::JobFailed, "the report could not be written whole."});
    }
    return static_cast<ExitStatus>(report.exit_status());
}

ExitStatus run_conform(ConformArguments& arguments) {
    if (arguments.json) {
        arguments.format = "json";
    }
    const std::vector<Case> cases = select_cases(all_cases(), arguments.options.patterns);
    if (cases.empty()) {
        return report_failure(
            "conform", {ExitStatus::WrongUsage, "no case has such a name; --list shows them all."});
    }
    if (arguments.list) {
        fmt::print("{}", list_cases(cases));
        return ExitStatus::Success;
    }
    if (arguments.options.path.empty()) {
        return report_failure("conform", {ExitStatus::WrongUsage,
                                          "name the device to judge, such as /dev/video0 or "
                                          "virtual:camera; "
                                          "`v4lfence devices` lists what there is."});
    }
    if ((arguments.raw || arguments.preloaded) && is_virtual_device(arguments.options.path)) {
        const char* option = arguments.raw ? "--raw" : "--preloaded";
        return report_failure(
            "conform", {ExitStatus::WrongUsage,
                        fmt::format("{0} judges a node without the library's own calls, and {1} is "
                                    "a name of the library. Leave out {0}.",
                                    option, arguments.options.path)});
    }
    if (arguments.preloaded && !has_preloaded_fences(arguments.options.path)) {
        return report_failure(
            "conform",
            {ExitStatus::MachineLacks,
             fmt::format("--preloaded: {} has no fences by the C library's calls. Run it by "
                         "`v4lfence exec`, with --virtual or --wrap for that path.",
                         arguments.options.path)});
    }
    return judge(arguments);
}

}  // namespace

Command add_conform_command(CLI::App& program) {
    const auto arguments = std::make_shared<ConformArguments>();
    Options& options = arguments->options;
    CLI::App* app = program.add_subcommand(
        "conform",
        "Judges a capture device: its promises about fences, and plain videobuf2 behaviour.");
    app->add_option("DEVICE", options.path,
                    "A capture device, such as /dev/video0 or virtual:camera");
    app->add_flag("--list", arguments->list, "Show the cases, run none");
    app->add_option("--case", options.patterns, "Only cases of this name or glob; repeatable")
        ->take_all();
    app->add_option("--format", arguments->format, "text, json or junit")
        ->capture_default_str()
        ->check(CLI::IsMember({"text", "json", "junit"}));
    app->add_flag("--json", arguments->json, "As --format json");
    app->add_option("--output", arguments->output, "Write the report there, not to stdout");
    app->add_option("--fences", options.fences,
                    "Who makes the fences: user, eventfd, vgem, sw_sync")
        ->capture_default_str();
    app->add_flag("--slow,!--no-slow", options.slow,
                  "Also the cases that take ten seconds or more (default: yes)");
    CLI::Option* raw =
        app->add_flag("--raw", arguments->raw, "Judge the kernel's node, without the library");
    app->add_flag("--preloaded", arguments->preloaded,
                  "Judge what a program of `v4lfence exec` sees, by the C library's calls alone")
        ->excludes(raw);
    app->add_option("--unplug-command", options.unplug_command,
                    "Shell command that unplugs the device; cases that need it run then");
    app->footer(footer);
    return {app, [arguments] { return run_conform(*arguments); }};
}

}  // namespace v4lfence
