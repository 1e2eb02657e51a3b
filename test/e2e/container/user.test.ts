import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, statSync } from "node:fs";
import { ContainerHost } from "../../support/container-host.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker } from "../../support/engines.ts";
import { type OciRegistry, startOciRegistry } from "../../support/oci-registry.ts";

/** A user who may use Docker by a group, as after `usermod -aG docker`. */
const member = { uid: 12_345, gid: 12_346, dockerGroup: 12_347 };

let registry: OciRegistry;
let engine: Engine;

beforeAll(async () => {
  registry = await startOciRegistry();
  engine = await sharedDocker();
  const { uid } = statSync(engine.socket);
  chownSync(engine.socket, uid, member.dockerGroup);
  chmodSync(engine.socket, 0o660);
}, 60_000);
afterAll(() => registry[Symbol.asyncDispose]());

async function userOf(image: string, agent: "root" | "member", options: readonly string[]) {
  await using host = new ContainerHost(engine, registry);
  await host.publish("v1.0.0", "good", image === "" ? {} : { User: image });
  const groups = `--groups=${member.dockerGroup}`;
  const through =
    agent === "root" ? [] : ["setpriv", `--reuid=${member.uid}`, `--regid=${member.gid}`, groups];
  if (agent === "member") {
    chmodSync(host.scratch, 0o755);
    chownSync(host.root, member.uid, member.gid);
  }
  const dewy = host.agent([], options, through);
  await host.serves("v1.0.0");
  const warned = dewy.records.filter(({ msg }) => msg === "Containers run as root").length;
  return { user: await host.ask("/id"), warned };
}

describe("the user in the container", () => {
  test.each<[string, "root" | "member", readonly string[], { user: string; warned: number }]>([
    ["", "root", [], { user: "0:0", warned: 1 }],
    ["1001:1002", "root", [], { user: "1001:1002", warned: 0 }],
    ["", "member", [], { user: `${member.uid}:${member.gid}`, warned: 0 }],
    ["0", "member", [], { user: `${member.uid}:${member.gid}`, warned: 0 }],
    ["1001:1002", "member", [], { user: "1001:1002", warned: 0 }],
    ["1001:1002", "member", ["--user", "77:78"], { user: "77:78", warned: 0 }],
    ["", "root", ["--user", "77:78"], { user: "77:78", warned: 0 }],
  ])(
    "of an image with USER %p under an agent run by %s with %j",
    async (image, agent, options, expected) => {
      expect(await userOf(image, agent, options)).toEqual(expected);
    },
    180_000,
  );
});
