import { constants } from "node:os";
import { list, type OptionSpec, single, toggle } from "./option.ts";
import { invalid } from "./problem.ts";
import { pairOf, whole } from "./values.ts";

/** A day: longer than any drain, and not for ever. */
const maxStopSeconds = 86_400;
const namespacedSysctls = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

export const processOptions: readonly OptionSpec[] = [
  single(
    "entrypoint",
    (draft, program) => {
      // An empty one takes the image's away.
      draft.config.Entrypoint = [program];
    },
    { mayBeEmpty: true },
  ),
  single(
    "workdir",
    (draft, path) => {
      if (!path.startsWith("/")) throw invalid(`"${path}" is not an absolute path in the container`);
      draft.config.WorkingDir = path;
    },
    { short: "w" },
  ),
  single(
    "user",
    (draft, user) => {
      if (!/^[^\s:]+(:[^\s:]+)?$/.test(user))
        throw invalid(`"${user}" is not a user`, "write user, uid or uid:gid");
      draft.config.User = user;
    },
    { short: "u" },
  ),
  list("group-add", (draft, group) => {
    if (/[\s:]/.test(group)) throw invalid(`"${group}" is not a group`, "write its name or number");
    draft.host.GroupAdd = [...(draft.host.GroupAdd ?? []), group];
  }),
  list("cap-drop", (draft, capability) => {
    const names = new Set(draft.host.CapDrop);
    draft.host.CapDrop = [...names.add(capabilityOf(capability))].sort();
  }),
  toggle("init", (draft, on) => {
    draft.host.Init = on;
  }),
  toggle("read-only", (draft, on) => {
    draft.host.ReadonlyRootfs = on;
  }),
  single("stop-signal", (draft, signal) => {
    draft.config.StopSignal = signalOf(signal);
  }),
  single("stop-timeout", (draft, seconds) => {
    if (seconds === "-1") throw invalid("-1 would let a stop wait for ever", "write a number of seconds");
    draft.config.StopTimeout = whole(0, maxStopSeconds)(seconds);
  }),
  single("restart", (draft, policy) => {
    draft.host.RestartPolicy = restartPolicyOf(policy);
  }),
  list("sysctl", (draft, text) => {
    const [key, value] = pairOf(text, "--sysctl net.core.somaxconn=1024");
    if (!namespacedSysctls.has(key) && !/^(net|fs\.mqueue)\./.test(key)) {
      throw invalid(`"${key}" is not a setting a container can have of its own`, "set it on the host");
    }
    draft.host.Sysctls = { ...draft.host.Sysctls, [key]: value };
  }),
  single("ipc", (draft, mode) => {
    if (!/^(none|private|shareable|host|container:[a-zA-Z0-9][a-zA-Z0-9_.-]*)$/.test(mode)) {
      throw invalid(`"${mode}" is unknown`, "write none, private, shareable, host or container:NAME");
    }
    draft.host.IpcMode = mode;
  }),
  single("uts", (draft, mode) => {
    if (mode !== "host") throw invalid(`"${mode}" is unknown`, "write host or leave the option out");
    draft.host.UTSMode = mode;
  }),
  single("runtime", (draft, runtime) => {
    draft.host.Runtime = runtime;
  }),
  single("platform", (draft, text) => {
    draft.platform = platformOf(text);
  }),
];

function capabilityOf(text: string): string {
  const name = text.toUpperCase();
  if (!/^[A-Z][A-Z_]*$/.test(name))
    throw invalid(`"${text}" is not a capability`, "write for example NET_RAW or ALL");
  return name === "ALL" || name.startsWith("CAP_") ? name : `CAP_${name}`;
}

/** A name with or without SIG, a number, or a real-time signal. */
function signalOf(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = Object.hasOwn(constants.signals, `SIG${name}`);
  const number = /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64;
  if (known || number || /^RT(MIN(\+([1-9]|1[0-5]))?|MAX(-([1-9]|1[0-4]))?)$/.test(name)) return text;
  throw invalid(`"${text}" is not a signal`, "write for example SIGTERM or SIGQUIT");
}

function restartPolicyOf(text: string): { Name: string; MaximumRetryCount: number } {
  const match = /^(?:(no|always|unless-stopped)|(on-failure)(?::(\d{1,9}))?)$/.exec(text);
  if (match === null) {
    throw invalid(`"${text}" is unknown`, "write no, always, unless-stopped, on-failure or on-failure:5");
  }
  return { Name: match[1] ?? match[2] ?? "", MaximumRetryCount: Number(match[3] ?? 0) };
}

function platformOf(text: string): string {
  const match =
    /^(?:linux\/)?(amd64|x86_64|arm64|aarch64|arm|386|ppc64le|s390x|riscv64|mips64le|loong64)(\/v\d{1,2})?$/.exec(
      text.toLowerCase(),
    );
  const arch = match?.[1]?.replace("x86_64", "amd64").replace("aarch64", "arm64");
  if (arch === undefined)
    throw invalid(`"${text}" is not a platform`, "write for example linux/amd64 or linux/arm/v7");
  return `linux/${arch}${match?.[2] ?? ""}`;
}
