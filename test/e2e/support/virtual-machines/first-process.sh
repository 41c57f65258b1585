#!/bin/sh
# First process of a virtual machine: gives it the name and the address that its kernel's command line says, then becomes
# the machine's own init.
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
  case $word in
    test.name=*) name=${word#*=} ;;
    test.address=*) address=${word#*=} ;;
    test.gateway=*) gateway=${word#*=} ;;
  esac
done
umount /proc
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >/etc/hosts
cat >/etc/network/interfaces <<EOF
auto lo eth0
iface lo inet loopback
iface eth0 inet static
  address $address/24
  gateway $gateway
EOF
exec /sbin/init
