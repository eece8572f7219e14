/* SPDX-License-Identifier: Apache-2.0 */
/* remedies: what messages tell a person to do, in the words of the system that the program runs on. */
#ifndef CONFIG_REMEDIES_H
#define CONFIG_REMEDIES_H

#ifdef _WIN32 /* the same advice, with other commands */
#define REMEDY_PORTS          "netstat -abn -p udp"
#define REMEDY_ADDRESSES      "ipconfig"
#define REMEDY_PORT_RIGHT     "`netsh int ipv4 show excludedportrange udp` names the ports that Windows keeps for itself"
#define REMEDY_MORE_FILES     "end programs that hold many handles"
#define REMEDY_MORE_THREADS   "end programs that hold much memory"
#define REMEDY_LIMITS         "look at the memory of this computer"
#define REMEDY_LARGER_BUFFERS "free memory, and start kdnetd again; wished are %zu bytes"
#define REMEDY_CLOSE_FILE     "icacls FILE /inheritance:r /grant Administrators:F SYSTEM:F \"NT SERVICE\\kdnetd:R\""
#define REMEDY_CONFIGURATION  "C:\\ProgramData\\kdnetd\\kdnetd.yaml"
#define REMEDY_START          "kdnetd service start"
#define REMEDY_RESTART        "kdnetd service stop, kdnetd service start"
#define REMEDY_RELOAD         "kdnetd service reload"
#define REMEDY_STATUS         "kdnetd service status"
#define REMEDY_LOG            "C:\\ProgramData\\kdnetd\\log\\kdnetd.log"
#define REMEDY_RIGHTS         "No right to act? Open the prompt as administrator."
#define REMEDY_CAPTURE        "pktmon start -c -m real-time      "
#else
#define REMEDY_PORTS          "ss -ulpn"
#define REMEDY_ADDRESSES      "ip address"
#define REMEDY_PORT_RIGHT     "ports below 1024 need CAP_NET_BIND_SERVICE"
#define REMEDY_MORE_FILES     "raise the limit (LimitNOFILE=, ulimit -n)"
#define REMEDY_MORE_THREADS   "raise the limit (TasksMax=, ulimit -u; or of memory: MemoryMax=, ulimit -v)"
#define REMEDY_LIMITS         "look at the limits of this service (TasksMax=, LimitNOFILE=, MemoryMax=)"
#define REMEDY_LARGER_BUFFERS "sysctl -w net.core.rmem_max=%zu"
#define REMEDY_CLOSE_FILE     "chown root:kdnetd, chmod 640"
#define REMEDY_CONFIGURATION  "/etc/kdnetd/kdnetd.yaml"
#define REMEDY_START          "systemctl start kdnetd"
#define REMEDY_RESTART        "systemctl restart kdnetd"
#define REMEDY_RELOAD         "systemctl reload kdnetd"
#define REMEDY_STATUS         "systemctl status kdnetd"
#define REMEDY_LOG            "journalctl -u kdnetd"
#define REMEDY_RIGHTS         "No right to the socket? Be in the group kdnetd-operators, or root."
#define REMEDY_CAPTURE        "tcpdump -ni any udp port PORT     "
#endif

#endif
