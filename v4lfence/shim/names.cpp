// SPDX-License-Identifier: MIT

#include "v4lfence/shim/names.hpp"

#include <dirent.h>

namespace v4lfence::shim {

namespace {

constexpr std::string_view folder_paths[] = {
    "/dev",
    "/dev/char",
    "/dev/v4l",
    "/dev/v4l/by-id",
    "/dev/v4l/by-path",
    "/sys/class/video4linux",
    "/sys/dev/char",
    "/sys/devices/virtual/video4linux",
};
constexpr unsigned folder_count = sizeof folder_paths / sizeof folder_paths[0];

constexpr std::string_view item_names[] = {"uevent", "dev", "name", "index"};
constexpr unsigned item_count = sizeof item_names / sizeof item_names[0];
constexpr std::string_view subsystem = "subsystem";

const Device& device_of(const Entry& entry) {
    return config().devices[entry.device];
}

Folder own_folder(unsigned device) {
    return static_cast<Folder>(static_cast<unsigned>(Folder::FirstDevice) + device);
}

Entry folder_entry(Folder folder) {
    Entry entry;
    entry.kind = Kind::Folder;
    entry.folder = folder;
    return entry;
}

Entry link_entry(LinkFrom from, unsigned device) {
    Entry entry;
    entry.kind = Kind::Link;
    entry.link = from;
    entry.device = static_cast<unsigned char>(device);
    return entry;
}

void append_number(NameText& text, const Device& device) {
    text.append(video_major);
    text.append(":");
    text.append(device.minor);
}

/// A device's name in a folder of links.
std::string_view name_in(Folder folder, const Device& device, NameText& storage) {
    switch (folder) {
    case Folder::DevById:
        return device.id.view();
    case Folder::DevByPath:
        return device.place.view();
    case Folder::DevChar:
    case Folder::SysDevChar:
        storage.cut(0);
        append_number(storage, device);
        return storage.view();
    default:
        return device.node.view();
    }
}

Entry entry_in(Folder folder, unsigned device) {
    switch (folder) {
    case Folder::DevChar:
        return link_entry(LinkFrom::DevChar, device);
    case Folder::DevById:
        return link_entry(LinkFrom::ById, device);
    case Folder::DevByPath:
        return link_entry(LinkFrom::ByPath, device);
    case Folder::SysClass:
        return link_entry(LinkFrom::SysClass, device);
    case Folder::SysDevChar:
        return link_entry(LinkFrom::SysDevChar, device);
    case Folder::SysDevices:
        return folder_entry(own_folder(device));
    default:
        return {};
    }
}

Entry look_up_item(unsigned device, std::string_view name) {
    Entry entry;
    for (unsigned i = 0; i < item_count; ++i) {
        if (name == item_names[i]) {
            entry.kind = Kind::Text;
            entry.item = static_cast<Item>(i);
            entry.device = static_cast<unsigned char>(device);
            return entry;
        }
    }
    return name == subsystem ? link_entry(LinkFrom::Subsystem, device) : entry;
}

/// `rest`: what follows the folder's path and a slash.
Entry look_up_in(Folder folder, std::string_view rest) {
    const std::string_view name = take_until(rest, '/');
    NameText storage;
    for (unsigned i = 0; i < config().device_count; ++i) {
        if (name_in(folder, config().devices[i], storage) != name) {
            continue;
        }
        if (rest.empty()) {
            return entry_in(folder, i);
        }
        return folder == Folder::SysDevices ? look_up_item(i, rest) : Entry{};
    }
    return {};
}

std::string_view after(std::string_view path, std::size_t length) {
    path.remove_prefix(length);
    return path;
}

}  // namespace

Entry look_up(std::string_view path) {
    const Config& known = config();
    if (!known.has_elsewhere && !path.starts_with("/dev") && !path.starts_with("/sys/")) {
        return {};
    }
    for (unsigned i = 0; i < known.device_count; ++i) {
        if (known.devices[i].path.view() == path) {
            Entry node;
            node.kind = Kind::Node;
            node.device = static_cast<unsigned char>(i);
            return node;
        }
    }
    for (unsigned i = 0; i < folder_count; ++i) {
        const std::string_view folder = folder_paths[i];
        if (!path.starts_with(folder)) {
            continue;
        }
        if (path.size() == folder.size()) {
            return folder_entry(static_cast<Folder>(i));
        }
        if (path[folder.size()] == '/') {
            const Entry found = look_up_in(static_cast<Folder>(i), after(path, folder.size() + 1));
            if (found) {
                return found;
            }
        }
    }
    return {};
}

std::string_view folder_path(Folder folder, Path& path) {
    const auto number = static_cast<unsigned>(folder);
    if (number < folder_count) {
        path.assign(folder_paths[number]);
    } else {
        path.assign(folder_paths[static_cast<unsigned>(Folder::SysDevices)]);
        path.append("/");
        path.append(config().devices[number - folder_count].node.view());
    }
    return path.view();
}

void link_text(const Entry& link, Path& text) {
    const Device& device = device_of(link);
    text.cut(0);
    switch (link.link) {
    case LinkFrom::DevChar:
        text.append(device.is_in_dev ? "../" : "");
        break;
    case LinkFrom::ById:
    case LinkFrom::ByPath:
        text.append(device.is_in_dev ? "../../" : "");
        break;
    case LinkFrom::SysClass:
    case LinkFrom::SysDevChar:
        text.append("../../devices/virtual/video4linux/");
        text.append(device.node.view());
        return;
    case LinkFrom::Subsystem:
        text.append("../../../../class/video4linux");
        return;
    }
    text.append(device.is_in_dev ? device.node.view() : device.path.view());
}

void link_target(const Entry& link, Path& path) {
    switch (link.link) {
    case LinkFrom::DevChar:
    case LinkFrom::ById:
    case LinkFrom::ByPath:
        path.assign(device_of(link).path.view());
        break;
    case LinkFrom::SysClass:
    case LinkFrom::SysDevChar:
        folder_path(own_folder(link.device), path);
        break;
    case LinkFrom::Subsystem:
        folder_path(Folder::SysClass, path);
        break;
    }
}

void item_text(const Entry& item, ItemText& text) {
    const Device& device = device_of(item);
    switch (item.item) {
    case Item::Uevent:
        text.append("MAJOR=");
        text.append(video_major);
        text.append("\nMINOR=");
        text.append(device.minor);
        text.append("\nDEVNAME=");
        text.append(device.is_in_dev ? device.node.view() : device.path.view());
        break;
    case Item::Dev:
        text.append(video_major);
        text.append(":");
        text.append(device.minor);
        break;
    case Item::Name:
        text.append("v4lfence ");
        text.append(device.kind.view());
        break;
    case Item::Index:
        text.append("0");
        break;
    }
    text.append("\n");
}

namespace {

/// Entries that are there whatever the devices are.
bool list_fixed(Folder folder, unsigned index, Listed& listed) {
    const auto is = [&](std::string_view name, unsigned char type) {
        listed = {name, type, 0};
        return true;
    };
    if (folder == Folder::Dev) {
        return index == 0 ? is("v4l", DT_DIR) : index == 1 && is("char", DT_DIR);
    }
    if (folder == Folder::DevV4l) {
        return index == 0 ? is("by-id", DT_DIR) : index == 1 && is("by-path", DT_DIR);
    }
    if (folder >= Folder::FirstDevice) {
        return index < item_count ? is(item_names[index], DT_REG)
                                  : index == item_count && is(subsystem, DT_LNK);
    }
    return false;
}

/// The index-th device that the folder shows.
bool list_device(Folder folder, unsigned index, Listed& listed, NameText& storage) {
    if (folder == Folder::DevV4l || folder >= Folder::FirstDevice) {
        return false;
    }
    for (unsigned i = 0; i < config().device_count; ++i) {
        const Device& device = config().devices[i];
        if (folder == Folder::Dev && !device.is_in_dev) {
            continue;
        }
        if (index-- == 0) {
            const unsigned char type = folder == Folder::Dev          ? DT_CHR
                                       : folder == Folder::SysDevices ? DT_DIR
                                                                      : DT_LNK;
            listed = {name_in(folder, device, storage), type, 0};
            return true;
        }
    }
    return false;
}

}  // namespace

bool list_entry(Folder folder, unsigned index, Listed& listed, NameText& storage) {
    unsigned fixed = 0;
    while (fixed <= index && list_fixed(folder, fixed, listed)) {
        ++fixed;
    }
    if (fixed <= index && !list_device(folder, index - fixed, listed, storage)) {
        return false;
    }
    Path path;
    folder_path(folder, path);
    path.append("/");
    path.append(listed.name);
    listed.inode = inode_of(look_up(path.view()));
    return true;
}

bool may_be_entry(std::string_view before_last, std::string_view last) {
    NameText storage;
    for (unsigned i = 0; i < config().device_count; ++i) {
        const Device& device = config().devices[i];
        for (const Folder folder :
             {Folder::Dev, Folder::DevChar, Folder::DevById, Folder::DevByPath}) {
            const std::string_view name = name_in(folder, device, storage);
            if (last == name) {
                return true;
            }
            if (look_up_item(i, last) && (before_last.empty() || before_last == name)) {
                return true;
            }
        }
    }
    return false;
}

unsigned long inode_of(const Entry& entry) {
    constexpr unsigned long first = 0x56340000;
    const unsigned long device =
        entry.kind == Kind::Folder ? static_cast<unsigned>(entry.folder) : device_of(entry).minor;
    const unsigned long which = entry.kind == Kind::Link   ? static_cast<unsigned>(entry.link)
                                : entry.kind == Kind::Text ? static_cast<unsigned>(entry.item)
                                                           : 0;
    return first + (device << 6) + (static_cast<unsigned long>(entry.kind) << 3) + which;
}

}  // namespace v4lfence::shim
