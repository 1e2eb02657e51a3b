import { describe, expect, test } from "bun:test";
import { type ProxyPort, parseProxyPorts } from "../../src/config/proxy-ports.ts";

const at = (
  proxyPort: number,
  containerPort: number | null = null,
  host: string | null = null,
): ProxyPort => ({
  host,
  proxyPort,
  containerPort,
});

describe("the proxy's ports", () => {
  test.each<[readonly string[], string | null, readonly ProxyPort[]]>([
    [[], null, [at(8000)]],
    [[], "8080", [at(8000, 8080)]],
    [["9000"], null, [at(9000)]],
    [["9000"], "80", [at(9000, 80)]],
    [["9000:80"], null, [at(9000, 80)]],
    [["9000:80", "9001:81"], null, [at(9000, 80), at(9001, 81)]],
    [["9000:80, 9001:80"], null, [at(9000, 80), at(9001, 80)]],
    [["127.0.0.1:9000:80"], null, [at(9000, 80, "127.0.0.1")]],
    [["127.0.0.1:9000"], null, [at(9000, null, "127.0.0.1")]],
    [["[::1]:9000:80"], null, [at(9000, 80, "::1")]],
    [["[0:0:0:0:0:0:0:1]:9000"], "81", [at(9000, 81, "::1")]],
  ])("%j with --container-port %p", (values, containerPort, ports) => {
    expect(parseProxyPorts(values, containerPort)).toEqual({ ports: [...ports], problems: [] });
  });

  test.each<[readonly string[], string | null, string]>([
    [["x"], null, '"x" is not a port'],
    [[""], null, '"" is not a port'],
    [["0"], null, '"0" is out of range'],
    [["8000:70000"], null, '"8000:70000" is out of range'],
    [["8000-8005"], null, '"8000-8005" is not a port'],
    [["localhost:8000"], null, '"localhost:8000" is not a port'],
    [["999.0.0.1:8000:80"], null, "is not an IP address"],
    [["[zz]:8000"], null, "is not an IP address"],
    [["8000:80", "8000:81"], null, "port 8000 is given twice"],
    [["8000:80"], "81", "--container-port goes with a single --port"],
    [["8000", "8001"], "81", "--container-port goes with a single --port"],
    [["8000"], "0", '"0" is out of range'],
    [["8000"], "http", '"http" is out of range'],
  ])("%j with --container-port %p is refused", (values, containerPort, message) => {
    const { problems } = parseProxyPorts(values, containerPort);
    expect(problems.map((problem) => problem.message).join("\n")).toContain(message);
    expect(problems.every(({ hint }) => hint !== undefined)).toBe(true);
  });
});
