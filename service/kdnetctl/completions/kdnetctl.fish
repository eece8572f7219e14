# SPDX-License-Identifier: Apache-2.0
# Made by `kdnetctl completion fish`.
complete -c kdnetctl -n __fish_use_subcommand -f -a help -d 'all about one command'
complete -c kdnetctl -n __fish_use_subcommand -f -a status -d 'say how the service is'
complete -c kdnetctl -n __fish_use_subcommand -f -a health -d 'say whether the service is alive and ready'
complete -c kdnetctl -n __fish_use_subcommand -f -a targets -d 'list the machines and their states'
complete -c kdnetctl -n __fish_use_subcommand -f -a show -d 'tell all about a machine or a crash'
complete -c kdnetctl -n __fish_use_subcommand -f -a crashes -d 'list crashes, the newest first'
complete -c kdnetctl -n __fish_use_subcommand -f -a ack -d 'acknowledge a crash: somebody has seen it'
complete -c kdnetctl -n __fish_use_subcommand -f -a buckets -d 'list crashes by what is at fault'
complete -c kdnetctl -n __fish_use_subcommand -f -a events -d 'print what kdnetd tells'
complete -c kdnetctl -n __fish_use_subcommand -f -a watch -d 'show held machines and the newest crashes, live'
complete -c kdnetctl -n __fish_use_subcommand -f -a release -d 'let held machines go on'
complete -c kdnetctl -n __fish_use_subcommand -f -a reboot -d 'reboot a held or halted machine'
complete -c kdnetctl -n __fish_use_subcommand -f -a read -d 'read the crash status of a machine again'
complete -c kdnetctl -n __fish_use_subcommand -f -a doctor -d 'find out why a machine is not served'
complete -c kdnetctl -n __fish_use_subcommand -f -a unknown -d 'list who pokes with a key that no target has'
complete -c kdnetctl -n __fish_use_subcommand -f -a reload -d 'read the configuration again'
complete -c kdnetctl -n __fish_use_subcommand -f -a drain -d 'let balancers send machines elsewhere'
complete -c kdnetctl -n __fish_use_subcommand -f -a token -d 'make a token for the HTTP interface'
complete -c kdnetctl -n __fish_use_subcommand -f -a backup -d 'copy the store while kdnetd goes on'
complete -c kdnetctl -n __fish_use_subcommand -f -a republish -d 'let a sink deliver again what was told since then'
complete -c kdnetctl -n __fish_use_subcommand -f -a fleet -d 'show what all collectors have told, from NATS'
complete -c kdnetctl -n __fish_use_subcommand -f -a keygen -d 'make a key for a machine, and say what to run there'
complete -c kdnetctl -n __fish_use_subcommand -f -a import -d 'make a targets file of a CSV file'
complete -c kdnetctl -n __fish_use_subcommand -f -a check -d 'name every mistake of a configuration'
complete -c kdnetctl -n __fish_use_subcommand -f -a decode -d 'explain a capture of KDNET traffic'
complete -c kdnetctl -n __fish_use_subcommand -f -a symbols -d 'look up where a name is in a kernel'
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from status' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from health' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l state -d 'in this state: never_seen, connected, halted, held, handed_over, dumping,' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l label -d 'with this label; given again: and with this one' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -s q -d 'with this text in its name, address or labels' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l limit -d 'at most so many (all)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from targets' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from show' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l since -d 'from then on: a duration back from now (24h), or as 2026-11-26T08:14:03Z' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l until -d 'before that' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l verdict -d 'written, failed, not_started or unknown; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l target -d 'of this machine; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l code -d 'of this bug check, as 0xD1; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l label -d 'of machines with this label; given again: and with this one' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l limit -d 'at most so many (100)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from crashes' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l note -d 'what was found, for those who look later' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from ack' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l since -d 'from then on: a duration back from now (24h), or as 2026-11-26T08:14:03Z' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from buckets' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l follow -d 'goes on with those to come, also when kdnetd is restarted'
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l since -d 'from then on: a duration back from now (24h), or as 2026-11-26T08:14:03Z' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l tail -d 'the newest N (100)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l type -d 'of this kind, as crash_status; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l target -d 'of this machine; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from events' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l interval -d 'between two looks (2s)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l count -d 'ends after so many looks (never)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from watch' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l all -d 'every machine of the state that --state names'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l state -d 'which machines --all is about' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l to-debugger -d 'kdnetd is silent to the machine for so long, and a debugger that listens at'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l yes -d 'also when it is about more than one machine'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from release' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l yes -d 'also when it is about more than one machine'
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from reboot' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l break-in -d 'stops a machine that runs, for as long as the reads take; kdnetd must allow it'
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l yes -d 'also when it is about more than one machine'
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from read' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from doctor' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from unknown' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from reload' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l undo -d 'takes it back: the service is ready again'
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from drain' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from token' -l role -d 'read (the default), or act: also release, reboot, read, reload, drain' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from token' -l file -d 'the file that http_tokens names (/usr/local/etc/kdnetd/tokens)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from token' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l store -d 'the store, when kdnetd does not run; else kdnetd says where it is' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from backup' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l since -d 'RFC 3339, or a duration back from now, as 2d' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l sink -d 'the sink; that of the option nats is called nats' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from republish' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l servers -d 'servers of NATS; else those of the configuration' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l config -d 'kdnetd\'s configuration, whose option nats is taken' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l stream -d 'the stream (CRASH)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l subject -d 'of events (kdnet.crash.{collector}.{target})' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l credentials -d 'a .creds file' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l ca -d 'certificates (PEM) that the servers are checked by' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l cert -d 'certificate (PEM) that is shown to the servers' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l key -d 'its private key (PEM)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l since -d 'only what the servers took since then: 7d, or a time in UTC' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l target -d 'of targets and crashes: of this machine; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l verdict -d 'of targets and crashes: written, failed, not_started or unknown; may be given again' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l interval -d 'of watch: between two looks (2s)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l count -d 'of watch: ends after so many looks (never)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l socket -d 'kdnetd\'s Unix socket (KDNETD_SOCKET)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l url -d 'kdnetd\'s address, as http://127.0.0.1:9471 (KDNETD_URL)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l token-file -d 'a token for --url, alone or as in http_tokens (KDNETD_TOKEN_FILE)' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l json -d 'a JSON object a line'
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l utc -d 'times in UTC, not in this computer\'s zone'
complete -c kdnetctl -n '__fish_seen_subcommand_from fleet' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l host-ip -d 'kdnetd\'s address as the machine reaches it, IPv4 or IPv6' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l port -d 'kdnetd\'s UDP port (50000); Windows takes 49152-65535, Microsoft recommends 50000-50039' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l busparams -d 'the network card that KDNET takes, when there are several: bus, device, function, decimal' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l nodhcp -d 'no DHCP on the machine\'s network: KDNET does not wait for it'
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l noumex -d 'exceptions of programs do not stop the machine'
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l ps1 -d 'prints a PowerShell script that checks, applies and undoes it on the machine; the lines for'
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l from -d 'for each machine of the file: its columns are name, and as wanted address (the machine\'s),' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l out -d 'with --from: a new folder for a targets file and a NAME.ps1 for each machine' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from keygen' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from import' -l out -d 'a new targets file; without it, standard output' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from import' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from check' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from decode' -l key -d 'a key to try; may be given many times' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from decode' -l text -d 'a line for each datagram, then a summary (the default)'
complete -c kdnetctl -n '__fish_seen_subcommand_from decode' -l json -d 'a JSON object a line, then {"summary":{...}}'
complete -c kdnetctl -n '__fish_seen_subcommand_from decode' -l help -d 'all about the command'
complete -c kdnetctl -n '__fish_seen_subcommand_from symbols' -l symbols -d 'DIR, srv*DIR, srv*DIR*URL, or several with ; between them, as for WinDbg; may be' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from symbols' -l at -d 'look up which symbol this address of the image lies in; may be repeated. An RVA in' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from symbols' -l base -d 'where the image lies: addresses are then those of the machine, not RVAs' -r
complete -c kdnetctl -n '__fish_seen_subcommand_from symbols' -l help -d 'all about the command'
