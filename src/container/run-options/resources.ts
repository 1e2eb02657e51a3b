import type { DeviceRate, HostConfig, Ulimit } from "../create-body.ts";
import type { Draft } from "./draft.ts";
import { list, type OptionSpec, single } from "./option.ts";
import { type Conflict, invalid } from "./problem.ts";
import { bytesOf, whole } from "./values.ts";

/** setrlimit(2), as docker/go-units names them. */
const ulimitNames =
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  );

type NumberField = {
  [K in keyof HostConfig]-?: number extends HostConfig[K] ? K : never;
}[keyof HostConfig];
type RateField =
  | "BlkioDeviceReadBps"
  | "BlkioDeviceWriteBps"
  | "BlkioDeviceReadIOps"
  | "BlkioDeviceWriteIOps";

export const resourceOptions: readonly OptionSpec[] = [
  single("cpus", (draft, text) => {
    draft.host.NanoCpus = nanoCpusOf(text);
  }),
  numeric("cpu-shares", "CpuShares", whole(0), "c"),
  numeric("cpu-period", "CpuPeriod", whole(0, 1_000_000)),
  numeric("cpu-quota", "CpuQuota", whole(-1)),
  numeric("cpu-rt-period", "CpuRealtimePeriod", whole(0)),
  numeric("cpu-rt-runtime", "CpuRealtimeRuntime", whole(-1)),
  single("cpuset-cpus", (draft, text) => {
    draft.host.CpusetCpus = setOf(text);
  }),
  single("cpuset-mems", (draft, text) => {
    draft.host.CpusetMems = setOf(text);
  }),
  numeric("pids-limit", "PidsLimit", whole(-1)),
  single("cgroup-parent", (draft, group) => {
    draft.host.CgroupParent = group;
  }),
  list("ulimit", (draft, text) => {
    const limit = ulimitOf(text);
    const others = (draft.host.Ulimits ?? []).filter(({ Name }) => Name !== limit.Name);
    draft.host.Ulimits = [...others, limit].sort((a, b) => (a.Name < b.Name ? -1 : 1));
  }),
  single("blkio-weight", (draft, text) => {
    draft.host.BlkioWeight = weightOf(text);
  }),
  list("blkio-weight-device", (draft, text) => {
    const [Path, weight] = deviceOf(text, "/dev/sda:500");
    draft.host.BlkioWeightDevice = [
      ...(draft.host.BlkioWeightDevice ?? []),
      { Path, Weight: weightOf(weight) },
    ];
  }),
  rate("device-read-bps", "BlkioDeviceReadBps", bytesOf),
  rate("device-write-bps", "BlkioDeviceWriteBps", bytesOf),
  rate("device-read-iops", "BlkioDeviceReadIOps", whole(0)),
  rate("device-write-iops", "BlkioDeviceWriteIOps", whole(0)),
];

function numeric(
  name: string,
  field: NumberField,
  parse: (text: string) => number,
  short?: string,
): OptionSpec {
  return single(
    name,
    (draft, text) => {
      draft.host[field] = parse(text);
    },
    short === undefined ? {} : { short },
  );
}

function rate(name: string, field: RateField, parse: (text: string) => number): OptionSpec {
  return list(name, (draft, text) => {
    const [Path, value] = deviceOf(text, name.endsWith("bps") ? "/dev/sda:10mb" : "/dev/sda:1000");
    const entry: DeviceRate = { Path, Rate: parse(value) };
    draft.host[field] = [...(draft.host[field] ?? []), entry];
  });
}

function deviceOf(text: string, example: string): [path: string, value: string] {
  const match = /^(\/dev\/[^:]+):([^:]+)$/.exec(text);
  if (match === null) throw invalid(`"${text}" is not a device and a value`, `write ${example}`);
  return [match[1] ?? "", match[2] ?? ""];
}

function weightOf(text: string): number {
  const weight = whole(0, 1000)(text);
  if (weight > 0 && weight < 10)
    throw invalid(`"${text}" is too small`, "a weight is from 10 to 1000; 0 is none");
  return weight;
}

/** `1.5` CPUs; the engine counts in 10^-9. */
function nanoCpusOf(text: string): number {
  const match = /^(\d{0,6})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null || text === "")
    throw invalid(`"${text}" is not a number of CPUs`, "write for example 1.5");
  return Number(`${match[1]}${(match[2] ?? "").padEnd(9, "0")}`);
}

function setOf(text: string): string {
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return text;
  throw invalid(`"${text}" is not a set of numbers`, "write 0-3 or 0,2");
}

/** `nofile=1024`, `nofile=1024:4096`; -1: no limit (docker/go-units ParseUlimit). */
function ulimitOf(text: string): Ulimit {
  const match = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text);
  if (match === null) throw invalid(`"${text}" is not a limit`, "write nofile=1024 or nofile=1024:4096");
  const Name = match[1] ?? "";
  if (!ulimitNames.includes(Name)) throw invalid(`"${Name}" is unknown`, `write ${ulimitNames.join(", ")}`);
  const Soft = Number(match[2]);
  const Hard = Number(match[3] ?? match[2]);
  const softIsMore = Hard !== -1 && (Soft === -1 || Soft > Hard);
  if (softIsMore) throw invalid(`"${text}": the first, soft limit is above the hard one`);
  return { Name, Soft, Hard };
}

export function resourceConflicts({ host }: Draft): Conflict[] {
  const { NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0 } = host;
  if (NanoCpus === 0 || (CpuPeriod === 0 && CpuQuota === 0)) return [];
  return [
    {
      message: "--cpus contradicts --cpu-period and --cpu-quota",
      hint: "leave out one or the other",
      between: ["cpus", "cpu-period", "cpu-quota"],
    },
  ];
}
