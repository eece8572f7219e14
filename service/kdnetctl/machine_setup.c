/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/machine_setup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

static bool is_of_one_host(const uint8_t *ipv4)
{
    static const uint8_t any[4];
    return memcmp(ipv4, any, sizeof any) != 0 && ipv4[0] < 224; /* no multicast, no broadcast */
}

bool machine_setup_address(struct machine_setup *setup, char buffer[static MACHINE_SETUP_IP_SIZE])
{
    uint8_t ip[16];
    static const uint8_t any[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET, setup->host_ip, ip) == 1)
        return is_of_one_host(ip);
    if (inet_pton(AF_INET6, setup->host_ip, ip) != 1)
        return false;
    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        setup->host_ip = inet_ntop(AF_INET, ip + sizeof mapped, buffer, MACHINE_SETUP_IP_SIZE);
        return is_of_one_host(ip + sizeof mapped);
    }
    setup->ipv6 = true;
    return memcmp(ip, any, sizeof any) != 0 && ip[0] != 0xff;
}

/* Digits alone, at most five of them, no more than `most`. */
static bool read_number(const char *text, size_t length, unsigned most, unsigned *out)
{
    if (length == 0 || length > 5 || strspn(text, "0123456789") < length)
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= most;
}

bool machine_setup_port(const char *text, unsigned *port)
{
    return read_number(text, strlen(text), 65535, port) && *port > 0;
}

bool machine_setup_busparams(const char *text)
{
    static const unsigned most[3] = {255, 31, 7};
    for (size_t i = 0; i < 3; ++i) {
        unsigned number;
        size_t length = strcspn(text, ".");
        if (!read_number(text, length, most[i], &number) || (text[length] == '\0') != (i == 2))
            return false;
        text += length + 1;
    }
    return true;
}

static void print_settings(const struct machine_setup *setup, FILE *out)
{
    (void)fprintf(out, "bcdedit /debug on\n");
    (void)fprintf(out, "bcdedit /dbgsettings net %s:%s port:%u key:%s%s%s\n", setup->ipv6 ? "hostipv6" : "hostip",
                  setup->host_ip, setup->port, setup->key, setup->nodhcp ? " nodhcp" : "",
                  setup->noumex ? " /noumex" : "");
    if (setup->busparams)
        (void)fprintf(out, "bcdedit /set \"{dbgsettings}\" busparams %s\n", setup->busparams);
}

static const char before_text[] =
    "# Before: BitLocker on? Suspend it, or the next start asks for the recovery key:\n"
    "#   manage-bde -protectors -disable C:\n"
    "# Before: Secure Boot on? Switch it off in the firmware, or bcdedit refuses (\"protected by Secure Boot\n"
    "#   policy\").\n"
    "# Before: is the network card one that KDNET supports? kdnet.exe, of the Debugging Tools for Windows, says so\n"
    "#   when it is run on the machine. KDNET takes the card over: Windows goes on to use it through the \"Microsoft\n"
    "#   Kernel Debug Network Adapter\", which does not have the card's static address: give it that address again\n"
    "#   after the restart. A card that a Hyper-V switch uses cannot serve both: take another for KDNET.\n"
    "# Several network cards? Say which by its bus, device and function, in decimal. In PowerShell:\n"
    "#   Get-NetAdapterHardwareInfo | Format-List Name, InterfaceDescription, Bus*, Device*, Function*\n";

static const char after_text[] =
    "# After: reboot the machine; only then does it poke, every 3 seconds. `bcdedit /dbgsettings` shows what is set.\n";

static const char undo_text[] = "# To undo it: bcdedit /debug off, then reboot.\n";

void machine_setup_text(const struct machine_setup *setup, FILE *out)
{
    (void)fprintf(out, "# 2. On %s, in a command prompt that runs as Administrator:\n\n", setup->name);
    print_settings(setup, out);
    (void)fprintf(out, "\n%s", before_text);
    if (!setup->busparams)
        (void)fprintf(out,
                      "#   bcdedit /set \"{dbgsettings}\" busparams BUS.DEVICE.FUNCTION  (or keygen --busparams)\n");
    if (!setup->nodhcp)
        (void)fprintf(out, "# No DHCP on that network? Add nodhcp to the second line (or keygen --nodhcp).\n");
    if (!setup->noumex)
        (void)fprintf(out, "# Exceptions of programs need not stop the machine: add /noumex (or keygen --noumex).\n");
    (void)fprintf(out, "%s#   UDP port %u to %s must be open on the way.\n%s", after_text, setup->port, setup->host_ip,
                  undo_text);
}

/* Writes the values into the script's head; no character in them has a meaning to PowerShell. */
static void print_values(const struct machine_setup *setup, FILE *out)
{
    (void)fprintf(
        out,
        "# Kernel debugging over the network for %s, for kdnetd. It holds the machine's key: keep it secret,\n"
        "# and delete it when it is done. In a PowerShell that runs as Administrator:\n"
        "#   .\\%s.ps1            shows what is set and what is in the way; changes nothing\n"
        "#   .\\%s.ps1 -Apply     sets it; it counts from the next restart on\n"
        "#   .\\%s.ps1 -Undo      takes it back; that counts from the next restart on, too\n"
        "#Requires -RunAsAdministrator\n"
        "[CmdletBinding()]\n"
        "param([switch]$Apply, [switch]$Undo)\n"
        "$ErrorActionPreference = 'Stop'\n\n"
        "$HostWord = '%s'\n$HostIp = '%s'\n$Port = %u\n$Key = '%s'\n$BusParams = '%s'\n$Further = @(%s%s%s)\n\n",
        setup->name, setup->name, setup->name, setup->name, setup->ipv6 ? "hostipv6" : "hostip", setup->host_ip,
        setup->port, setup->key, setup->busparams ? setup->busparams : "", setup->nodhcp ? "'nodhcp'" : "",
        setup->nodhcp && setup->noumex ? ", " : "", setup->noumex ? "'/noumex'" : "");
}

static const char script_check[] =
    "function Invoke-Bcdedit {\n"
    "    $said = & bcdedit.exe @args 2>&1\n"
    "    if ($LASTEXITCODE -ne 0) { throw \"bcdedit $($args[0]) failed: $said\" }\n"
    "    $said\n"
    "}\n\n"
    "function Test-SecureBoot {\n"
    "    try { [bool](Confirm-SecureBootUEFI) } catch { $false } # no UEFI, no Secure Boot\n"
    "}\n\n"
    "function Get-ProtectedVolume {\n"
    "    if (-not (Get-Command Get-BitLockerVolume -ErrorAction SilentlyContinue)) { return }\n"
    "    Get-BitLockerVolume -MountPoint $env:SystemDrive | Where-Object ProtectionStatus -eq 'On'\n"
    "}\n\n"
    "function Show-State {\n"
    "    Write-Output 'Debugger settings as they are now (the key is left out):'\n"
    "    (Invoke-Bcdedit '/dbgsettings') -replace '(?i)^(key\\s+).*', '$1...' | Write-Output\n"
    "    Invoke-Bcdedit '/enum' '{current}' | Select-String '^debug ' | Write-Output\n"
    "    if (Test-SecureBoot) { Write-Warning 'Secure Boot is on: switch it off in the firmware, bcdedit refuses "
    "else.' }\n"
    "    if (Get-ProtectedVolume) { Write-Warning \"BitLocker protects $env:SystemDrive: -Apply suspends it for one "
    "restart.\" }\n"
    "    Write-Output 'Network cards; KDNET takes one of them over, and a static address must be given again "
    "afterwards:'\n"
    "    Get-NetAdapterHardwareInfo | Format-List Name, InterfaceDescription, Bus*, Device*, Function* | Out-String | "
    "Write-Output\n"
    "    if (Get-Command Get-VMSwitch -ErrorAction SilentlyContinue) {\n"
    "        Get-VMSwitch -SwitchType External -ErrorAction SilentlyContinue | ForEach-Object {\n"
    "            Write-Warning \"The Hyper-V switch $($_.Name) uses $($_.NetAdapterInterfaceDescription): take another "
    "card for KDNET.\"\n"
    "        }\n"
    "    }\n"
    "}\n\n";

static const char script_change[] =
    "function Set-Debugging {\n"
    "    if (Test-SecureBoot) { throw 'Secure Boot is on: switch it off in the firmware first. Nothing was changed.' "
    "}\n"
    "    if (Get-ProtectedVolume) { Suspend-BitLocker -MountPoint $env:SystemDrive -RebootCount 1 | Out-Null }\n"
    "    Invoke-Bcdedit '/dbgsettings' 'net' \"${HostWord}:$HostIp\" \"port:$Port\" \"key:$Key\" @Further | Out-Null\n"
    "    if ($BusParams) { Invoke-Bcdedit '/set' '{dbgsettings}' 'busparams' $BusParams | Out-Null }\n"
    "    Invoke-Bcdedit '/debug' 'on' | Out-Null\n"
    "    Write-Output 'Set. Restart the machine: from then on it pokes kdnetd every 3 seconds.'\n"
    "}\n\n"
    "function Clear-Debugging {\n"
    "    if (Get-ProtectedVolume) { Suspend-BitLocker -MountPoint $env:SystemDrive -RebootCount 1 | Out-Null }\n"
    "    Invoke-Bcdedit '/debug' 'off' | Out-Null\n"
    "    if ($BusParams) { Invoke-Bcdedit '/deletevalue' '{dbgsettings}' 'busparams' | Out-Null }\n"
    "    Write-Output 'Taken back. Restart the machine; the network card is its own again then.'\n"
    "}\n\n"
    "if ($Apply -and $Undo) { throw 'Either -Apply or -Undo.' }\n"
    "if ($Apply) { Set-Debugging } elseif ($Undo) { Clear-Debugging } else { Show-State }\n";

void machine_setup_ps1(const struct machine_setup *setup, FILE *out)
{
    print_values(setup, out);
    (void)fputs(script_check, out);
    (void)fputs(script_change, out);
}
