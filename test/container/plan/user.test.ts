import { describe, expect, test } from "bun:test";
import { replicaUser } from "../../../src/container/plan/user.ts";

const root = { uid: 0, gid: 0 };
const deploy = { uid: 1000, gid: 1001 };

describe("a container runs as", () => {
  test.each([
    ["the image's user under root", null, "app", root, null, false],
    ["the image's user under another", null, "33:33", deploy, null, false],
    ["the image's user, whose number begins as root's", null, "0x", deploy, null, false],
    ["the image's user of root's group", null, "app:0", deploy, null, false],
    ["the agent's user instead of none", null, "", deploy, "1000:1001", false],
    ["the agent's user instead of root", null, "root", deploy, "1000:1001", false],
    ["the agent's user instead of root with a group", null, "root:www", deploy, "1000:1001", false],
    ["the agent's user instead of 0", null, "0", deploy, "1000:1001", false],
    ["the agent's user instead of 0 with a group", null, "0:33", deploy, "1000:1001", false],
    ["the agent's user instead of 00", null, "00", deploy, "1000:1001", false],
    ["root of an image with no user under root, and says so", null, "", root, null, true],
    ["root of an image of root under root, and says so", null, "root", root, null, true],
    ["root of an image of 0:0 under root, and says so", null, "0:0", root, null, true],
    ["the user of --user under root", "app", "", root, "app", false],
    ["the user of --user whatever the image says", "44:44", "app", deploy, "44:44", false],
    ["root where --user says so", "0", "app", deploy, "0", false],
    ["root where --user says so under root, without a word", "root", "", root, "root", false],
  ])("%s", (_, chosen, image, agent, user, rootByDefault) => {
    expect(replicaUser({ chosen, image, agent })).toEqual({ user, rootByDefault });
  });
});
