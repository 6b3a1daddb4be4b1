#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The guest's first process (harness/initramfs.py packs it as /init, with busybox and the modules).
#
# It talks with the host over three virtio-serial ports: 1 carries the command's stdout, 2 its
# stderr, 3 is the control line. On the control line the guest says, one line each:
#   mark NAME UPTIME    a stage is reached          note TEXT       worth showing to a person
#   lacks TEXT          cannot go on without this   status N        the command's exit status
# and the host may say `diagnose`. The serial console carries the kernel's messages.

PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

say() { echo "$*" >&3; }

mark() {
    read -r uptime _ </proc/uptime
    say "mark $1 $uptime"
}

off() {
    poweroff -f
    # The host gives up on a guest that gets here.
    while :; do sleep 60; done
}

# Loads the rest of the list.
load_modules() {
    while read -r need name parameters; do
        # The list separates parameters by blanks and so does insmod: the splitting is wanted.
        # shellcheck disable=SC2086
        insmod "/vm/modules/$name.ko" $parameters 2>/vm/error && continue
        read -r reason </vm/error
        if [ "$need" = optional ]; then
            say "note optional module not loaded: ${reason:-$name}"
        else
            say "lacks a kernel that loads module $name: ${reason:-no reason given}"
            off
        fi
    done
}

# The transport's modules come first in the list, up to an empty line: without them nobody hears us.
open_control_line() {
    while read -r _ name _ && [ -n "$name" ]; do
        insmod "/vm/modules/$name.ko" || echo "vm: module $name failed"
    done
    tries=0
    # A port can be opened once it has told its name, a moment after the driver loads; 10 s at most.
    ports=/sys/class/virtio-ports/vport0p
    until [ -e ${ports}1/name ] && [ -e ${ports}2/name ] && [ -e ${ports}3/name ]; do
        tries=$((tries + 1))
        [ "$tries" -gt 500 ] && { echo "vm: no virtio-serial ports"; off; }
        sleep 0.02
    done
    exec 3<>/dev/vport0p3
}

mount_root() {
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /host ||
        { say "lacks the host's root over 9p"; off; }
    mount -t debugfs debugfs /sys/kernel/debug
    mount -t tracefs tracefs /sys/kernel/tracing
    mkdir -p /dev/shm /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t devpts devpts /dev/pts
    ln -s /proc/self/fd /dev/fd
    ln -s fd/0 /dev/stdin
    ln -s fd/1 /dev/stdout
    ln -s fd/2 /dev/stderr
    mount -t proc proc /host/proc
    mount --rbind /sys /host/sys
    mount --rbind /dev /host/dev
    mount -t tmpfs run /host/run
    # The host's /tmp stays visible (builds live there) and takes writes that the host never sees.
    mount -t tmpfs scratch /scratch
    mkdir /scratch/upper /scratch/work /host/run/lock
    layers=lowerdir=/host/tmp,upperdir=/scratch/upper,workdir=/scratch/work
    mount -t overlay -o $layers tmp /host/tmp
    if [ -n "$VM_OUT" ]; then
        mkdir /host/run/out
        mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none out /host/run/out ||
            { say "lacks the writable share for --out"; off; }
    fi
    ifconfig lo up
    echo v4lfence-vm >/proc/sys/kernel/hostname
}

# Where every process of the command is, for a person who wonders why it hangs.
diagnose() {
    echo 9 >/proc/sysrq-trigger
    echo w >/proc/sysrq-trigger
    while read -r pid; do
        read -r name </proc/"$pid"/comm
        echo "vm: process $pid ($name)"
        cat /proc/"$pid"/stack
    done </cgroup/command/cgroup.procs
    echo "vm: end of diagnosis"
}

listen() {
    while read -r word <&3; do
        [ "$word" = diagnose ] && diagnose >/dev/console 2>&1
    done
}

# The command is a member of a cgroup of its own: what it leaves behind can be ended with it. Its
# output takes a pipe on the way, because a virtio-serial port can be opened only once at a time and
# programs do open /dev/stderr.
run_command() {
    mount -t cgroup2 cgroup2 /cgroup
    mkdir /cgroup/command
    mkfifo /vm/stdout /vm/stderr
    cat </vm/stdout >/dev/vport0p1 3>&- &
    relays=$!
    cat </vm/stderr >/dev/vport0p2 3>&- &
    relays="$relays $!"
    listen &
    (
        echo 0 >/cgroup/command/cgroup.procs
        exec sh /vm/command.sh
    ) </dev/null >/vm/stdout 2>/vm/stderr 3>&-
    status=$?
    echo 1 >/cgroup/command/cgroup.kill
    # shellcheck disable=SC2086
    wait $relays
}

# Bits 7 and 9 of the taint mask: the kernel died a little, or warned, since it started.
report_taint() {
    # Not the shell's read: it reads byte by byte, and sysctl files give one byte only then.
    taint=$(cat /proc/sys/kernel/tainted)
    [ $((taint & 0x280)) = 0 ] && return
    say "note the guest's kernel complained (taint $taint); --out keeps its log as vm-dmesg.txt"
    [ -n "$VM_OUT" ] && dmesg >/host/run/out/vm-dmesg.txt
}

{
    open_control_line
    mark transport
    load_modules
    mark modules
} </vm/modules.list
mount_root
mark root
run_command
mark command
report_taint
[ -n "$VM_OUT" ] && umount /host/run/out
say "status $status"
off
