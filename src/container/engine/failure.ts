import { DewyError, type ErrorCode, messageOf, systemCode } from "../../errors.ts";

/** What an engine answered instead of doing it. */
export interface Refusal {
  readonly status: number;
  /** Its own words; Podman's `cause` included. */
  readonly said: string;
}

type Rule = readonly [pattern: RegExp, code: ErrorCode, hint?: string];

const diskHint = "free some disk space where the engine keeps its images; dewy tries again by itself";
const downHint = "the engine is stopping or starting; dewy tries again by itself";

/** True of every call. */
const everywhere: readonly Rule[] = [
  [/no space left on device|disk quota exceeded|ENOSPC/i, "disk-full", diskHint],
  // Docker's own connections end before its listener does.
  [
    /context canceled|transport is closing|connection is closing|containerd\.sock|shutting down/i,
    "engine-unreachable",
    downHint,
  ],
];

/** Docker passes on what its registry client says, Podman what containers/image says; a registry's words vary. */
const pulling: readonly Rule[] = [
  [/toomanyrequests|too many requests|rate limit|(status|HTTP):? 429/i, "rate-limited"],
  [
    /unauthorized|no basic auth|authentication required|(?<!permission )denied|forbidden|(status|HTTP):? 40[13]/i,
    "unauthorized",
    "log in to the registry: docker login, or DOCKER_USERNAME and DOCKER_PASSWORD",
  ],
  [
    /no matching manifest|no image found in (manifest list|image index)|does not match the specified platform/i,
    "not-found",
    "the image was not built for this platform; push it for this one too, or give --platform",
  ],
  [/not found|manifest unknown|name unknown|no such image|does not exist|status:? 404/i, "not-found"],
  [
    /gave HTTP response to HTTPS client/i,
    "network-unreachable",
    "the registry speaks plain HTTP: name it as insecure in the engine's own configuration",
  ],
  [
    /x509|certificate/i,
    "network-unreachable",
    "make the engine trust the registry's certificate (its own configuration, not dewy's)",
  ],
  [/timeout|timed out|deadline exceeded/i, "network-timeout"],
  [
    /dial |lookup |no such host|connection re(fused|set)|unreachable|\bEOF\b|broken pipe|proxyconnect|tls:|request canceled|pinging container registry|unexpected (HTTP )?status|(status|HTTP|code):? 5\d\d/i,
    "network-unreachable",
  ],
];

/** The command, its directory or its user is not in the image, or the kernel can't run it. */
const starting: readonly Rule[] = [
  [
    /failed to start shim|exec: "?[^" ]*(containerd-shim|docker-proxy|docker-init|iptables)|prestart hook|nvidia-container/i,
    "engine-failed",
    "the engine lacks a program of its own: see that it is installed as a whole",
  ],
  [
    /exec: |executable file not found|exec format error|command that was not found|permission denied: OCI|unable to find (user|group)|no matching entries in passwd|chdir to cwd/i,
    "start-failed",
    "check the image's command, working directory and user, and --cmd, --workdir and --user",
  ],
];

/** Podman answers 500 to what Docker calls 400. */
const creating: readonly Rule[] = [
  [/no such image|image not known|does not match the specified platform/i, "not-found"],
  [/already in use/i, "engine-failed", "another container has this name; remove it or give another --name"],
  [
    /invalid argument|network not found|unable to find network|no such network|invalid (reference|mount|restart|port)/i,
    "config-invalid",
    "check the options after --",
  ],
];

const rules = { pull: pulling, create: creating, start: starting, other: [] } as const;

interface Wording {
  /** Never show in the error. */
  readonly secrets?: readonly string[];
  /** Say nothing of what went wrong, though an image may well be called `denied`. */
  readonly names?: readonly string[];
}

/** The one place where an engine's refusal becomes an error. */
export function refused(
  during: keyof typeof rules,
  doing: string,
  { status, said }: Refusal,
  { secrets = [], names = [] }: Wording = {},
): DewyError {
  const words = cleaned(said, secrets);
  const text = `${doing}: ${words === "" ? `the engine answered ${status}` : words}`;
  const telling = names.reduce((rest, name) => rest.replaceAll(name, " "), said);
  const rule = [...everywhere, ...rules[during]].find(([pattern]) => pattern.test(telling));
  if (rule !== undefined) return new DewyError(rule[1], text, { hint: rule[2] });
  if (during === "create" && status === 400) {
    return new DewyError("config-invalid", text, { hint: "check the options after --" });
  }
  return new DewyError("engine-failed", text);
}

/** fetch threw, or the answer was cut off. */
export function unreachable(error: unknown, doing: string, where: string): DewyError {
  const code = systemCode(error) ?? (error instanceof Error ? error.name : "unknown");
  const text = `${doing}: no connection to the engine at ${where} (${code})`;
  return new DewyError("engine-unreachable", text, { hint: hintOf(code) });
}

export function silent(doing: string, where: string, limitMs: number): DewyError {
  return new DewyError(
    "engine-unreachable",
    `${doing}: the engine at ${where} gave no answer within ${limitMs / 1000}s`,
    { hint: "see the engine's own log; a restart of it may help" },
  );
}

export function garbage(doing: string, what: string): DewyError {
  return new DewyError("engine-failed", `${doing}: the engine answered ${what}`, {
    hint: "check that the socket is Docker's or Podman's",
  });
}

export function isNoSuchContainer({ status, said }: Refusal): boolean {
  // Podman answers 500 when the container goes while it is being looked at.
  return status === 404 || /no such container|does not exist in database/i.test(said);
}

/** For what fails beside the engine: reading the TLS files. */
export function badTls(error: unknown): DewyError {
  return new DewyError("config-invalid", `the engine's TLS files: ${messageOf(error)}`, {
    hint: "DOCKER_CERT_PATH must hold ca.pem, cert.pem and key.pem",
  });
}

function hintOf(code: string): string {
  if (code === "EACCES" || code === "EPERM") {
    return "add the user dewy runs as to the docker group, or give it its own rootless engine";
  }
  if (/CERT|SELF_SIGNED|ALTNAME|VERIFY|TLS|SSL/.test(code)) {
    return "check DOCKER_CERT_PATH and that the engine's certificate is made out to this host";
  }
  return "check that the engine runs (systemctl status docker podman.socket); dewy tries again by itself";
}

/** Queries of URLs hold tokens and account names; engines add line breaks. */
function cleaned(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (secret !== "") clean = clean.replaceAll(secret, "***");
  return clean
    .replace(/(https?:\/\/)[^\s"/@]*@/g, "$1")
    .replace(/\?[^\s"]*/g, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 400);
}
