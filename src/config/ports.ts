import { type ListenSpec, listenName } from "../supervisor/listen-spec.ts";
import { isIPv4, isIPv6 } from "../util/ip.ts";
import { invalid, type Problem, problemOf } from "./problem.ts";

/** last − first; the original's limit. */
const maxSpan = 100;
/** sockaddr_un.sun_path on Linux, less the final NUL. */
const maxUnixPathBytes = 107;
const forms = "write 8000, 8000-8005, 127.0.0.1:8000, [::1]:8000 or unix:/run/app.sock";

/**
 * The values of `--port`, each a list by commas → where the app listens: every place once, TCP by port then
 * host, unix sockets last by path. The order fixes the app's descriptors. Problems come for all parts at once.
 */
export function parsePorts(values: readonly string[]): { specs: ListenSpec[]; problems: Problem[] } {
  const byName = new Map<string, ListenSpec>();
  const problems: Problem[] = [];
  for (const part of values.flatMap((value) => value.split(","))) {
    try {
      for (const spec of parsePart(part.trim())) byName.set(listenName(spec), spec);
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  const specs = [...byName.values()].sort(compareSpecs);
  return { specs, problems: [...problems, ...overlaps(specs)] };
}

function parsePart(part: string): ListenSpec[] {
  if (part.startsWith("unix:")) return [unixSpec(part.slice("unix:".length), part)];
  const match = /^(?:(.*):)?(\d+)(?:-(\d+))?$/.exec(part);
  if (match === null) throw invalid(`"${part}" is not a port`, forms);
  const host = match[1] === undefined ? null : parseHost(match[1], part);
  const first = portNumber(match[2], part);
  const last = match[3] === undefined ? first : portNumber(match[3], part);
  if (last < first) throw invalid(`range "${part}" is reversed`, "write the lower port first");
  if (last - first > maxSpan) {
    throw invalid(`range "${part}" is too long`, `last − first may be ${maxSpan} at most`);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => ({ kind: "tcp", host, port: first + index }));
}

function portNumber(digits: string | undefined, part: string): number {
  const port = Number(digits);
  if (port >= 1 && port <= 65535) return port;
  throw invalid(`"${part}" is out of range`, "ports go from 1 to 65535");
}

/** Only literal addresses: a name could stand for several, or for another one tomorrow. */
function parseHost(text: string, part: string): string {
  if (isIPv4(text)) return text;
  const inner = /^\[(.*)\]$/.exec(text)?.[1];
  if (inner !== undefined && isIPv6(inner) && !inner.includes("%")) {
    return new URL(`http://[${inner}]/`).hostname.slice(1, -1);
  }
  if (isIPv6(text)) throw invalid(`"${part}": an IPv6 address needs brackets`, "write [::1]:8000");
  throw invalid(
    `"${part}": "${text}" is not an IP address`,
    "write for example 127.0.0.1:8000 or [::1]:8000",
  );
}

function unixSpec(path: string, part: string): ListenSpec {
  if (!path.startsWith("/")) throw invalid(`"${part}" has no absolute path`, "write unix:/run/app.sock");
  // server-starter hands over `path=fd;path=fd`.
  if (/[;=\0]/.test(path)) throw invalid(`"${part}" holds ; or =`, "choose a path without them");
  if (Buffer.byteLength(path) > maxUnixPathBytes) {
    throw invalid(`"${part}" is too long for a socket`, `a path may have ${maxUnixPathBytes} bytes at most`);
  }
  return { kind: "unix", path };
}

/** A port on every address leaves none for one of them. */
function overlaps(specs: readonly ListenSpec[]): Problem[] {
  return specs.flatMap((spec) => {
    const wider = specs.find((other) => covers(other, spec));
    return wider === undefined
      ? []
      : [
          {
            message: `"${listenName(spec)}" is part of "${listenName(wider)}"`,
            hint: "leave one of them out",
          },
        ];
  });
}

function covers(wide: ListenSpec, narrow: ListenSpec): boolean {
  if (wide.kind === "unix" || narrow.kind === "unix" || wide.port !== narrow.port) return false;
  if (wide.host === narrow.host || narrow.host === null) return false;
  if (wide.host === null) return true;
  return wide.host === (isIPv4(narrow.host) ? "0.0.0.0" : "::");
}

function compareSpecs(a: ListenSpec, b: ListenSpec): number {
  if (a.kind === "tcp" && b.kind === "tcp") return a.port - b.port || compareText(a.host ?? "", b.host ?? "");
  if (a.kind === "unix" && b.kind === "unix") return compareText(a.path, b.path);
  return a.kind === "tcp" ? -1 : 1;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
