// SPDX-License-Identifier: MIT

#include "v4lfence/kms/card.hpp"

#include <drm.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/drm.hpp"
#include "v4lfence/kms/choice.hpp"
#include "v4lfence/kms/holders.hpp"
#include "v4lfence/kms/kernel_drm.hpp"

namespace v4lfence {

namespace {

/// A driver of buffers and fences, without a display.
constexpr std::string_view never_shows = "vgem";
constexpr std::size_t names_buffer_size = 4096;

/// Those of card0, card1, ..., card10, in this order.
Outcome<std::vector<std::string>> card_paths() {
    auto paths = drm::list_nodes("card");
    if (!paths) {
        return cannot_do(paths.error(), "list the cards of this machine");
    }
    std::sort(paths->begin(), paths->end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    return std::move(*paths);
}

std::string group_name(gid_t id) {
    std::array<char, names_buffer_size> buffer{};
    group entry{};
    group* found = nullptr;
    if (getgrgid_r(id, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
        return found->gr_name;
    }
    return words("number ", id);
}

tl::unexpected<KmsError> cannot_open(const std::string& path, int code) {
    if (code == -ENOENT) {
        return refuse(code, "there is no card ", path);
    }
    struct stat node {};
    if ((code != -EACCES && code != -EPERM) || ::stat(path.c_str(), &node) != 0) {
        return refuse(code, "cannot open ", path, ": ", errno_words(code));
    }
    char mode[8];
    std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(node.st_mode & 07777));
    return refuse(-EACCES, "no permission for ", path, " (group ", group_name(node.st_gid),
                  ", mode ", mode, "): log in at this seat, or join the group ",
                  group_name(node.st_gid));
}

struct OpenNode {
    UniqueFd fd;
    std::string driver;
};

/// The number stays low, unlike others that are ours: when a program is killed the kernel lets go
/// of the highest first, so what ends fences (vgem's file, which is high) goes before the card,
/// whose end waits for the commit under way and so for its in-fence: 10 s were measured the other
/// way.
Outcome<OpenNode> open_node(const std::string& path) {
    auto fd = sys::open(path.c_str(), O_RDWR | O_NONBLOCK);
    if (!fd) {
        return cannot_open(path, fd.error().code);
    }
    auto driver = KernelDrm::driver_name(fd->get());
    if (!driver) {
        return refuse(-ENODEV, path, " is no card of a display or GPU");
    }
    return OpenNode{std::move(*fd), std::move(*driver)};
}

Outcome<> check_modes(Drm& drm, const std::string& path, const std::string& driver) {
    const auto resources = drm.resources();
    if (!resources || resources->connectors.empty() || resources->crtcs.empty()) {
        const bool render = path.find("renderD") != std::string::npos;
        return refuse(-ENODEV, path, " (", driver, ") has no display",
                      render ? ": it is a render node, the card beside it may have one" : "");
    }
    if (!drm.set_client_capability(DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) ||
        !drm.set_client_capability(DRM_CLIENT_CAP_ATOMIC, 1)) {
        return refuse(-EOPNOTSUPP, "the driver ", driver, " of ", path,
                      " has no atomic mode-setting, which fences need");
    }
    return {};
}

Outcome<Card> examine(const std::string& path, OpenNode node) {
    Card card;
    card.path = path;
    card.driver = std::move(node.driver);
    if (const auto file = sys::fstat(node.fd.get())) {
        card.major = gnu_dev_major(file->st_rdev);
        card.minor = gnu_dev_minor(file->st_rdev);
    }
    card.drm = std::make_unique<KernelDrm>(std::move(node.fd));
    if (auto checked = check_modes(*card.drm, path, card.driver); !checked) {
        return tl::unexpected<KmsError>(std::move(checked.error()));
    }
    auto topology = read_topology(*card.drm);
    if (!topology) {
        return cannot_do(topology.error(), "read what ", path, " (", card.driver, ") has");
    }
    card.topology = std::move(*topology);
    return card;
}

Outcome<Card> open_and_examine(const std::string& path) {
    auto node = open_node(path);
    if (!node) {
        return tl::unexpected<KmsError>(std::move(node.error()));
    }
    return examine(path, std::move(*node));
}

Outcome<Card> mastered(Card card) {
    if (const auto master = card.drm->become_master(); !master) {
        const std::string others = programs_with(gnu_dev_makedev(card.major, card.minor));
        return refuse(-EBUSY, "another program decides what ", card.path, " shows",
                      others.empty() ? "" : "; it is open in ", others,
                      ": end that, or switch to a free console (Ctrl-Alt-F3)");
    }
    return card;
}

Outcome<Card> find_driver(const std::vector<std::string>& paths, std::string_view wanted) {
    std::string list;
    std::string hidden;  // Why one may be there that was not seen.
    for (const std::string& path : paths) {
        auto node = open_node(path);
        if (!node) {
            hidden = words("; ", node.error().sentence);
            continue;
        }
        if (node->driver == wanted) {
            auto card = examine(path, std::move(*node));
            return card ? mastered(std::move(*card)) : std::move(card);
        }
        list += words(list.empty() ? "" : ", ", path, " (", node->driver, ")");
    }
    return refuse(-ENOENT, "there is no card of a driver ", wanted, "; there is ",
                  list.empty() ? "none that could be opened" : list, hidden);
}

/// How much the reason why a card is of no use tells about what to do.
int weight(int code) {
    return code == -EACCES ? 3 : code == -EOPNOTSUPP ? 2 : 1;
}

Outcome<Card> find_display(const std::vector<std::string>& paths, std::string_view connector) {
    KmsError why{-ENODEV, ""};
    const auto note = [&why](const std::string& path, KmsError error) {
        if (error.sentence.find(path) == std::string::npos) {
            error.sentence = words(path, ": ", error.sentence);
        }
        why.code =
            why.sentence.empty() || weight(error.code) > weight(why.code) ? error.code : why.code;
        why.sentence += words(why.sentence.empty() ? "" : "; ", error.sentence);
    };
    for (const std::string& path : paths) {
        auto node = open_node(path);
        if (node && node->driver == never_shows) {
            continue;
        }
        auto card = node ? examine(path, std::move(*node))
                         : Outcome<Card>(tl::unexpected<KmsError>(std::move(node.error())));
        if (!card) {
            note(path, std::move(card.error()));
            continue;
        }
        if (auto found = choose_connector(card->topology, connector); !found) {
            note(path, std::move(found.error()));
            continue;
        }
        return mastered(std::move(*card));
    }
    if (why.sentence.empty()) {
        why.sentence = paths.empty() ? "this machine has no card in /dev/dri: no driver of a "
                                       "display is loaded"
                                     : "no card of this machine has a display";
    }
    return tl::unexpected<KmsError>(std::move(why));
}

}  // namespace

Outcome<Card> open_card(std::string_view wanted, std::string_view connector) {
    if (wanted == never_shows) {
        return refuse(-ENODEV, "cards of vgem have no display");
    }
    if (wanted.find('/') != std::string_view::npos) {
        auto card = open_and_examine(std::string(wanted));
        return card ? mastered(std::move(*card)) : std::move(card);
    }
    auto paths = card_paths();
    if (!paths) {
        return tl::unexpected<KmsError>(std::move(paths.error()));
    }
    return wanted.empty() ? find_display(*paths, connector) : find_driver(*paths, wanted);
}

}  // namespace v4lfence
