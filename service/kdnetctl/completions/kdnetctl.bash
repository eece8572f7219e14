# SPDX-License-Identifier: Apache-2.0
# Made by `kdnetctl completion bash`.
_kdnetctl() {
    local word=${COMP_WORDS[COMP_CWORD]} options=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        options='help status health targets show crashes ack buckets events watch release reboot read doctor unknown reload drain token backup republish fleet keygen import check decode symbols'
    else
        case ${COMP_WORDS[1]} in
        status) options=' --socket --url --token-file --json --utc --help' ;;
        health) options=' --socket --url --token-file --json --utc --help' ;;
        targets) options=' --state --label -q --limit --socket --url --token-file --json --utc --help' ;;
        show) options=' --socket --url --token-file --json --utc --help' ;;
        crashes) options=' --since --until --verdict --target --code --label --limit --socket --url --token-file --json --utc --help' ;;
        ack) options=' --note --socket --url --token-file --json --utc --help' ;;
        buckets) options=' --since --socket --url --token-file --json --utc --help' ;;
        events) options=' --follow --since --tail --type --target --socket --url --token-file --json --utc --help' ;;
        watch) options=' --interval --count --socket --url --token-file --json --utc --help' ;;
        release) options=' --all --state --to-debugger --yes --socket --url --token-file --json --utc --help' ;;
        reboot) options=' --yes --socket --url --token-file --json --utc --help' ;;
        read) options=' --break-in --yes --socket --url --token-file --json --utc --help' ;;
        doctor) options=' --socket --url --token-file --json --utc --help' ;;
        unknown) options=' --socket --url --token-file --json --utc --help' ;;
        reload) options=' --socket --url --token-file --json --utc --help' ;;
        drain) options=' --undo --socket --url --token-file --json --utc --help' ;;
        token) options=' --role --file --help' ;;
        backup) options=' --store --socket --url --token-file --json --utc --help' ;;
        republish) options=' --since --sink --socket --url --token-file --json --utc --help' ;;
        fleet) options=' --servers --config --stream --subject --credentials --ca --cert --key --since --target --verdict --interval --count --socket --url --token-file --json --utc --help' ;;
        keygen) options=' --host-ip --port --busparams --nodhcp --noumex --ps1 --from --out --help' ;;
        import) options=' --out --help' ;;
        check) options=' --help' ;;
        decode) options=' --key --text --json --help' ;;
        symbols) options=' --symbols --at --base --help' ;;
        esac
    fi
    if [ "$COMP_CWORD" -eq 1 ] || [ "${word#-}" != "$word" ]; then
        while IFS= read -r word; do COMPREPLY+=("$word"); done \
            < <(compgen -W "$options" -- "$word")
    fi
}
complete -o default -F _kdnetctl kdnetctl
