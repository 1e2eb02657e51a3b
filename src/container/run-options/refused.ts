import { type OptionSpec, refuse } from "./option.ts";

const open = "it would open this host to the container";
const background = "dewy runs its containers in the background";
const published = "dewy publishes the port on 127.0.0.1 for its proxy; use --port 8000:8080 before the --";
const sameAddress = "during an update two containers run side by side, and both would want it";
const windows = "it is for containers of Windows";
const pulls = "dewy pulls the image itself";

/** What `docker run` knows and dewy does not take, with the reason. */
export const refusedOptions: readonly OptionSpec[] = [
  refuse("forbidden", "detach", "switch", background, { short: "d" }),
  refuse("forbidden", "interactive", "switch", background, { short: "i" }),
  refuse("forbidden", "tty", "switch", background, { short: "t" }),
  refuse("forbidden", "publish", "value", published, { short: "p" }),
  refuse("forbidden", "publish-all", "switch", published, { short: "P" }),
  refuse("forbidden", "label-file", "value", "dewy could not see which labels it holds; use --label"),
  refuse("forbidden", "privileged", "switch", open),
  refuse("forbidden", "pid", "value", open),
  refuse("forbidden", "cap-add", "value", open),
  refuse("forbidden", "security-opt", "value", open),
  refuse("forbidden", "device", "value", open),
  refuse("forbidden", "device-cgroup-rule", "value", open),
  refuse("forbidden", "userns", "value", open),
  refuse("forbidden", "cgroupns", "value", open),
  refuse("forbidden", "use-api-socket", "switch", open),
  refuse("not supported", "attach", "value", background, { short: "a" }),
  refuse("not supported", "detach-keys", "value", background),
  refuse("not supported", "sig-proxy", "switch", background),
  refuse(
    "not supported",
    "cidfile",
    "value",
    "there are several containers; `dewy container list` names them",
  ),
  refuse("not supported", "rm", "switch", "dewy removes a container after its connections have ended"),
  refuse("not supported", "pull", "value", pulls),
  refuse("not supported", "quiet", "switch", pulls, { short: "q" }),
  refuse("not supported", "disable-content-trust", "switch", pulls),
  refuse("not supported", "ip", "value", sameAddress),
  refuse("not supported", "ip6", "value", sameAddress),
  refuse("not supported", "link-local-ip", "value", sameAddress),
  refuse("not supported", "mac-address", "value", sameAddress),
  refuse("not supported", "link", "value", "links are superseded by --network and --network-alias"),
  refuse("not supported", "kernel-memory", "value", "engines ignore it by now; use --memory"),
  refuse("not supported", "cpu-count", "value", windows),
  refuse("not supported", "cpu-percent", "value", windows),
  refuse("not supported", "io-maxbandwidth", "value", windows),
  refuse("not supported", "io-maxiops", "value", windows),
  refuse("not supported", "isolation", "value", windows),
  refuse("not supported", "help", "switch", "see `docker run --help`, and `dewy help container`"),
];
