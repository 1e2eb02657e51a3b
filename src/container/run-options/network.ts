import { isIPv4, isIPv6 } from "../../util/ip.ts";
import type { Endpoint } from "../create-body.ts";
import type { ApiNeed, Draft, Network } from "./draft.ts";
import { list, type OptionSpec } from "./option.ts";
import { type Conflict, invalid } from "./problem.ts";
import { fieldsOf, pairOf, whole } from "./values.ts";

const builtIn = ["default", "bridge"];
const unreachable: Readonly<Record<string, string>> = {
  host: "all replicas would want the same ports, and none could be published on 127.0.0.1",
  none: "the proxy could not reach the container",
};

export const networkOptions: readonly OptionSpec[] = [
  list(
    "network",
    (draft, text) => {
      const { network, needs } = networkOf(text);
      if (draft.networks.some(({ name }) => name === network.name))
        throw invalid(`"${network.name}" is given twice`);
      draft.networks.push(network);
      draft.needs.push(...needs);
    },
    { aliases: ["net"] },
  ),
  list("network-alias", (draft, alias) => draft.aliases.push(alias), { aliases: ["net-alias"] }),
  list("add-host", (draft, text) => {
    draft.host.ExtraHosts = [...(draft.host.ExtraHosts ?? []), extraHostOf(text)];
  }),
  list("dns", (draft, text) => {
    if (!isIPv4(text) && !isIPv6(text)) throw invalid(`"${text}" is not an IP address`);
    draft.host.Dns = [...(draft.host.Dns ?? []), text];
  }),
  list("dns-search", (draft, domain) => {
    const fits =
      domain === "." ||
      (/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?\.?$/.test(domain) && /[a-z]/i.test(domain));
    if (!fits) throw invalid(`"${domain}" is not a domain`, "write . for none");
    draft.host.DnsSearch = [
      ...(draft.host.DnsSearch ?? []),
      domain === "." ? domain : domain.replace(/\.$/, ""),
    ];
  }),
  list(
    "dns-option",
    (draft, option) => {
      draft.host.DnsOptions = [...(draft.host.DnsOptions ?? []), option];
    },
    { aliases: ["dns-opt"] },
  ),
  list("expose", (draft, text) => {
    const ports = portsOf(text).map((port) => [port, {}] as const);
    draft.config.ExposedPorts = { ...draft.config.ExposedPorts, ...Object.fromEntries(ports) };
  }),
];

/** `name`, or fields as `name=backend,alias=web` (docker/cli opts/network.go). */
function networkOf(text: string): { network: Network; needs: readonly ApiNeed[] } {
  if (!text.includes("=")) return { network: { name: networkName(text), endpoint: {} }, needs: [] };
  const needs: ApiNeed[] = [];
  let name = "";
  let endpoint: Endpoint = {};
  for (const field of fieldsOf(text)) {
    const [key, value] = pairOf(field, "--network name=backend,alias=web");
    if (key === "name") name = networkName(value);
    else if (key === "alias") endpoint = { ...endpoint, Aliases: [...(endpoint.Aliases ?? []), value] };
    else if (key === "driver-opt") {
      const [option, setting] = pairOf(value, "driver-opt=name=value");
      endpoint = { ...endpoint, DriverOpts: { ...endpoint.DriverOpts, [option]: setting } };
    } else if (key === "gw-priority") {
      endpoint = { ...endpoint, GwPriority: whole(-(2 ** 31), 2 ** 31 - 1)(value) };
      needs.push({ option: "--network gw-priority", apiVersion: "1.48" });
    } else throw invalid(`"${key}" is not a key dewy takes here`, keyHint(key));
  }
  if (name === "") throw invalid("names no network", "add name=NETWORK");
  return { network: { name, endpoint }, needs };
}

function keyHint(key: string): string {
  return ["ip", "ip6", "mac-address", "link-local-ip"].includes(key)
    ? "during an update two containers run side by side, and both would want the same address"
    : "write name, alias, driver-opt or gw-priority";
}

function networkName(name: string): string {
  const reason = Object.hasOwn(unreachable, name) ? unreachable[name] : undefined;
  if (reason !== undefined) throw invalid(`${name} is not possible`, reason);
  if (name.startsWith("container:")) {
    throw invalid(
      "container:… is not possible",
      "a container without a network of its own can publish no port",
    );
  }
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return name;
  throw invalid(`"${name}" is not a network's name`);
}

/** `name:address`, `name=address` (docker/cli opts/hosts.go); `host-gateway` stands for this host. */
function extraHostOf(text: string): string {
  const match = /^([^=:\s]+)[=:](.+)$/.exec(text);
  const name = match?.[1] ?? "";
  const address = (match?.[2] ?? "").replace(/^\[(.+)\]$/, "$1");
  if (name !== "" && (address === "host-gateway" || isIPv4(address) || isIPv6(address)))
    return `${name}:${address}`;
  throw invalid(`"${text}" is not a host`, "write name:address or name:host-gateway");
}

/** `8080`, `8080-8090`, `53/udp` → the API's names of ports. */
function portsOf(text: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > 65535 || last < first) {
    throw invalid(`"${text}" is not a port`, "write 8080, 8080-8090 or 53/udp");
  }
  const protocol = match[3]?.toLowerCase() ?? "tcp";
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

const between = ["network", "network-alias"];

export function networkConflicts(draft: Draft): Conflict[] {
  const problems: Omit<Conflict, "between">[] = [];
  const [first] = draft.networks;
  const isBuiltIn = ({ name }: Network) => builtIn.includes(name);
  const aliased = draft.networks.filter((each) => isBuiltIn(each) && each.endpoint.Aliases !== undefined);
  if (aliased.length > 0 || (draft.aliases.length > 0 && (first === undefined || isBuiltIn(first)))) {
    problems.push({ message: "an alias needs a network of your own", hint: "add --network NAME" });
  }
  if (draft.aliases.length > 0 && first?.endpoint.Aliases !== undefined) {
    problems.push({
      message: "--network-alias contradicts alias= in --network",
      hint: "leave one of them out",
    });
  }
  if (draft.networks.some(isBuiltIn) && draft.networks.length > 1) {
    problems.push({
      message: "the engine's own bridge goes with no other network",
      hint: "name only your own networks",
    });
  }
  return problems.map((each) => ({ ...each, between }));
}
