// SPDX-License-Identifier: MIT

#include "v4lfence/fence/timeline/ended_sync_file.hpp"

#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/providers/private_buffer.hpp"
#include "v4lfence/fence/providers/vgem.hpp"
#include "v4lfence/fence/sync_file.hpp"
#include "v4lfence/fence/timeline/timeline_nodes.hpp"

namespace v4lfence {

namespace {

Result<UniqueFd> from_dma_buf() {
    const std::string card = find_vgem_nodes().card;
    const BufferSource source = V4LFENCE_TRY(PrivateBuffers::find(card).source);
    const auto buffer = V4LFENCE_TRY(PrivateBuffers(source, card).make());
    return export_sync_file(buffer.get(), DmaBufAccess::Write);
}

Result<UniqueFd> from_syncobj(const std::string& node) {
    const auto device = V4LFENCE_TRY(SyncobjDevice::open(node));
    const auto syncobj = V4LFENCE_TRY(DrmSyncobj::create(device, DrmSyncobj::Start::Signaled));
    return syncobj.export_sync_file();
}

bool lacks_descriptors(const Result<UniqueFd>& made) {
    return !made && (made.error().code == -EMFILE || made.error().code == -ENFILE);
}

Result<UniqueFd> make() {
    auto made = from_dma_buf();
    if (made || lacks_descriptors(made)) {
        return made;
    }
    for (const std::string& node : render_nodes()) {
        made = from_syncobj(node);
        if (made || lacks_descriptors(made)) {
            return made;
        }
    }
    return fail(-ENODEV, "nothing makes sync_files");
}

}  // namespace

Result<UniqueFd> EndedSyncFile::get() {
    if (!made_) {
        made_ = V4LFENCE_TRY(make().map(sys::move_high));
    }
    return sys::dup(made_.get());
}

}  // namespace v4lfence
