import type { RuntimeInfo } from "../runtime.ts";
import type { RunOptions } from "./parse.ts";
import type { Problem } from "./problem.ts";

type Options = Pick<RunOptions, "needs" | "config" | "host">;
type Engine = Pick<RuntimeInfo, "name" | "version" | "apiVersion">;

/** What Podman 4.3 takes over its compatible API and then forgets. */
const forgottenByPodman: readonly { readonly option: string; given(options: Options): boolean }[] = [
  { option: "--domainname", given: ({ config }) => config.Domainname !== undefined },
  { option: "--gpus", given: ({ host }) => host.DeviceRequests !== undefined },
  { option: "--runtime", given: ({ host }) => host.Runtime !== undefined },
  {
    // It becomes the address, word for word. `host.containers.internal` is there without any option.
    option: "--add-host NAME:host-gateway",
    given: ({ host }) => host.ExtraHosts?.some((entry) => entry.endsWith(":host-gateway")) === true,
  },
];

/** Options that this engine would ignore without a word. */
export function engineProblems(options: Options, engine: Engine): Problem[] {
  const tooNew = options.needs
    .filter((need) => isOlder(engine.apiVersion, need.apiVersion))
    .map(({ option, apiVersion }) => ({
      message: `${option} needs Engine API ${apiVersion}; this engine has ${engine.apiVersion}`,
      hint: "leave the option out, or use a newer engine",
    }));
  if (engine.name !== "podman" || !isOlder(engine.version, "5.0")) return tooNew;
  const forgotten = forgottenByPodman.filter(({ given }) => given(options));
  return [
    ...tooNew,
    ...forgotten.map(({ option }) => ({
      message: `${option} has no effect on Podman ${engine.version}`,
      hint: "leave the option out, or use Docker",
    })),
  ];
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const [otherMajor = 0, otherMinor = 0] = than.split(".").map(Number);
  return major !== otherMajor ? major < otherMajor : minor < otherMinor;
}
