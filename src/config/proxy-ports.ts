import { isIPv4, isIPv6 } from "../util/ip.ts";
import { invalid, type Problem, problemOf } from "./problem.ts";

/** Where the proxy listens, and which of the container's ports it leads to. */
export interface ProxyPort {
  /** A literal address; null: all of them. */
  readonly host: string | null;
  readonly proxyPort: number;
  /** null: the one the image exposes. */
  readonly containerPort: number | null;
}

const forms = "write 8000:8080, 8000, 127.0.0.1:8000:8080 or [::1]:8000:8080";
const defaultPort = 8000;

/**
 * The values of `--port`, each a list by commas of `[host:]proxy[:container]`, and of `--container-port`, the
 * older spelling → what the proxy listens on, in their order. Problems come for all parts at once.
 */
export function parseProxyPorts(
  values: readonly string[],
  containerPort: string | null,
): { ports: ProxyPort[]; problems: Problem[] } {
  const ports: ProxyPort[] = [];
  const problems: Problem[] = [];
  for (const part of values.flatMap((value) => value.split(","))) {
    try {
      ports.push(parsePart(part.trim()));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  if (values.length === 0) ports.push({ host: null, proxyPort: defaultPort, containerPort: null });
  const twice = ports.find(({ proxyPort }, index) =>
    ports.some((other, at) => at < index && other.proxyPort === proxyPort),
  );
  if (twice !== undefined) {
    problems.push({ message: `port ${twice.proxyPort} is given twice`, hint: "the proxy has one of each" });
  }
  if (containerPort === null) return { ports, problems };
  return withContainerPort(ports, problems, containerPort);
}

function withContainerPort(ports: ProxyPort[], problems: Problem[], text: string) {
  const [only, ...more] = ports;
  if (only === undefined) return { ports, problems };
  if (more.length > 0 || only.containerPort !== null) {
    const problem = {
      message: "--container-port goes with a single --port that has no container port of its own",
      hint: `leave it out and write --port ${only.proxyPort}:${only.containerPort ?? text}`,
    };
    return { ports, problems: [...problems, problem] };
  }
  try {
    return { ports: [{ ...only, containerPort: portNumber(text, text) }], problems };
  } catch (error) {
    return { ports, problems: [...problems, problemOf(error)] };
  }
}

function parsePart(part: string): ProxyPort {
  const match = /^(?:(\d+(?:\.\d+){3}|\[.*\]):)?(\d+)(?::(\d+))?$/.exec(part);
  if (match === null) throw invalid(`"${part}" is not a port`, forms);
  const [, host, proxy = "", container] = match;
  return {
    host: host === undefined ? null : parseHost(host, part),
    proxyPort: portNumber(proxy, part),
    containerPort: container === undefined ? null : portNumber(container, part),
  };
}

function portNumber(digits: string, part: string): number {
  const port = /^\d+$/.test(digits) ? Number(digits) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw invalid(`"${part}" is out of range`, "ports go from 1 to 65535");
}

/** Only literal addresses: a name could stand for several, or for another one tomorrow. */
function parseHost(text: string, part: string): string {
  if (isIPv4(text)) return text;
  const inner = text.slice(1, -1);
  if (isIPv6(inner) && !inner.includes("%")) return new URL(`http://[${inner}]/`).hostname.slice(1, -1);
  throw invalid(`"${part}": "${text}" is not an IP address`, forms);
}
