import { describe, expect, test } from "bun:test";
import {
  chooseEndpoint,
  type EndpointChoice,
  type EngineKind,
  type Environment,
  type SocketAccess,
} from "../../../src/container/engine/endpoint.ts";
import { DewyError } from "../../../src/errors.ts";

const unix = (path: string) => ({ kind: "unix", path }) as const;
const tcp = (authority: string) => ({ kind: "tcp", authority, tls: null }) as const;
const tls = (authority: string, at: string) =>
  ({
    kind: "tcp",
    authority,
    tls: { ca: `${at}/ca.pem`, cert: `${at}/cert.pem`, key: `${at}/key.pem` },
  }) as const;

const docker = "/var/run/docker.sock";
const podman = "/run/podman/podman.sock";
const run = "/run/user/1000";
const rootless = { XDG_RUNTIME_DIR: run };

describe("the engine is found", () => {
  test.each<[string, EngineKind, Environment, Record<string, SocketAccess>, EndpointChoice]>([
    [
      "docker: DOCKER_HOST before all",
      "docker",
      { DOCKER_HOST: "unix:///a.sock" },
      { [docker]: "usable" },
      unix("/a.sock"),
    ],
    ["docker: an empty one is none", "docker", { DOCKER_HOST: "" }, { [docker]: "usable" }, unix(docker)],
    [
      "docker: CONTAINER_HOST is not for it",
      "docker",
      { CONTAINER_HOST: "unix:///a.sock" },
      {},
      unix(docker),
    ],
    ["docker: by TCP", "docker", { DOCKER_HOST: "tcp://10.0.0.1:2375" }, {}, tcp("10.0.0.1:2375")],
    ["docker: by TCP, its port", "docker", { DOCKER_HOST: "tcp://host" }, {}, tcp("host:2375")],
    ["docker: by TCP, port 80", "docker", { DOCKER_HOST: "tcp://host:80" }, {}, tcp("host:80")],
    ["docker: by TCP, IPv6", "docker", { DOCKER_HOST: "tcp://[::1]:99/" }, {}, tcp("[::1]:99")],
    [
      "docker: by TLS",
      "docker",
      { DOCKER_HOST: "tcp://host:1", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" },
      {},
      tls("host:1", "/certs"),
    ],
    [
      "docker: a certificate alone asks for TLS too",
      "docker",
      { DOCKER_HOST: "tcp://host", DOCKER_CERT_PATH: "/certs" },
      {},
      tls("host:2376", "/certs"),
    ],
    [
      "docker: by TLS, certificates at home",
      "docker",
      { DOCKER_HOST: "tcp://host", DOCKER_TLS_VERIFY: "1", HOME: "/home/me" },
      {},
      tls("host:2376", "/home/me/.docker"),
    ],
    [
      "docker: the system's before the user's",
      "docker",
      rootless,
      { [docker]: "usable", [`${run}/docker.sock`]: "usable" },
      unix(docker),
    ],
    [
      "docker: the user's",
      "docker",
      rootless,
      { [`${run}/docker.sock`]: "usable" },
      unix(`${run}/docker.sock`),
    ],
    [
      "docker: the user's when the system's is not for them",
      "docker",
      rootless,
      { [docker]: "denied", [`${run}/docker.sock`]: "usable" },
      unix(`${run}/docker.sock`),
    ],
    ["docker: one that is denied, to say so", "docker", rootless, { [docker]: "denied" }, unix(docker)],
    ["docker: none at all", "docker", rootless, {}, unix(docker)],
    [
      "docker: a relative runtime directory is none",
      "docker",
      { XDG_RUNTIME_DIR: "run" },
      { "run/docker.sock": "usable" },
      unix(docker),
    ],
    [
      "podman: CONTAINER_HOST before all",
      "podman",
      { CONTAINER_HOST: "unix:///a.sock" },
      { [podman]: "usable" },
      unix("/a.sock"),
    ],
    [
      "podman: DOCKER_HOST is not for it",
      "podman",
      { DOCKER_HOST: "unix:///a.sock" },
      {},
      { kind: "service" },
    ],
    ["podman: the system's", "podman", {}, { [podman]: "usable" }, unix(podman)],
    [
      "podman: the user's when the system's is not for them",
      "podman",
      rootless,
      { [podman]: "denied", [`${run}/podman/podman.sock`]: "usable" },
      unix(`${run}/podman/podman.sock`),
    ],
    ["podman: a service of our own", "podman", rootless, { [podman]: "denied" }, { kind: "service" }],
  ])("%s", (_, kind, env, sockets, expected) => {
    expect(chooseEndpoint(kind, { env, access: (path) => sockets[path] ?? "absent" })).toEqual(expected);
  });

  test.each<[string, RegExp]>([
    ["ssh://me@host", /DOCKER_HOST: .*ssh/],
    ["npipe:////./pipe/docker_engine", /npipe/],
    ["fd://", /fd/],
    ["/var/run/docker.sock", /not a URL/],
    ["unix://docker.sock", /not absolute/],
    ["tcp://", /not a URL/],
    ["tcp://host:99999", /not a URL/],
    ["tcp://host:1/path", /more than host and port/],
    ["tcp://me:hunter2@host:1", /no place/],
    ["https://host:1", /DOCKER_CERT_PATH/],
  ])("%s is refused", (value, message) => {
    const choose = () => chooseEndpoint("docker", { env: { DOCKER_HOST: value }, access: () => "absent" });
    expect(choose).toThrow(DewyError);
    expect(choose).toThrow(message);
    expect(choose).not.toThrow(/hunter2/);
  });
});
