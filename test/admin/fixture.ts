import type { ContainerView, StatusView } from "../../src/admin/protocol.ts";
import { AdminServer, type AdminSource } from "../../src/admin/server.ts";
import { silentLog } from "../../src/log.ts";

export const anyPort = { port: 0, tries: 1 } as const;

export function containerView(changes: Partial<ContainerView> = {}): ContainerView {
  return {
    id: "ab".repeat(32),
    name: "shop-1736936999-0",
    image: "ghcr.io/acme/shop:v1.2.3",
    status: "running",
    address: "127.0.0.1:49152",
    startedAt: new Date("2025-01-15T10:29:58.000Z"),
    deployedAt: new Date("2025-01-15T10:30:00.000Z"),
    labels: { "dewy.managed": "true", "dewy.app": "shop" },
    replica: 0,
    version: "v1.2.3",
    state: "serving",
    seen: "GET http://127.0.0.1:49152/up: 200",
    connections: 7,
    health: "none",
    ...changes,
  };
}

export const statusView: StatusView = {
  name: "shop",
  command: "container",
  currentVersion: "v1.2.3",
  proxyBackends: 3,
  isRunning: true,
  root: "/srv/shop",
  pid: 4711,
  desiredReplicas: 3,
  trouble: null,
};

export function source(...containers: readonly ContainerView[]): AdminSource {
  return { containers: () => containers, status: () => statusView };
}

/** A real agent's API on a port of its own. */
export function agentWith(...containers: readonly ContainerView[]): AdminServer {
  return AdminServer.open(anyPort, source(...containers), silentLog);
}

/** What the Go original answers for one container: times in nanoseconds, none of the newer fields. */
export function originalContainer(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "cd".repeat(32),
    name: "blog-1736933400-1",
    image: "ghcr.io/acme/blog:v0.9.0",
    status: "running",
    ip_port: "127.0.0.1:49200",
    started_at: "2025-01-15T09:29:58.123456789Z",
    deployed_at: "2025-01-15T18:30:00+09:00",
    labels: { "dewy.app": "blog", "dewy.replica": "1", "dewy.version": "v0.9.0" },
    ...changes,
  };
}

/** Bytes to a port, and what comes back until the other side closes. */
export async function exchange(port: number, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(request),
      data: (_, bytes) => {
        answer += bytes.toString();
      },
      close: () => resolve(answer),
      error: (_, error) => reject(error),
      connectError: (_, error) => reject(error),
    },
  });
  return promise;
}
