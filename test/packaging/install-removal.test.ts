import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fakeSystemctl, Installation } from "../support/installation.ts";

describe("the installer", () => {
  test("removes what it installed, and nothing else", async () => {
    await using it = await Installation.open("debian");
    const wants = "/etc/systemd/system/multi-user.target.wants";
    await it.root.sh(`mkdir -p ${wants} /var/lib/dewy-shop && ln -s /else ${wants}/dewy@other.service`);
    fakeSystemctl(it.root);
    await it.root.sh("find / -xdev | sort >/tmp/before");
    await it.install(["--systemd"]);
    it.publish("v1.3.0");
    await it.install(["--systemd"]);
    const units = "/usr/local/lib/systemd/system";
    expect(readFileSync(it.root.path(`${units}/dewy.service`), "utf8")).toBe("# one of v1.3.0\n");
    expect(readFileSync(it.root.path(`${units}/dewy@.service`), "utf8")).toBe("# many of v1.3.0\n");
    expect(it.root.names("/usr/local/lib/sysusers.d")).toEqual(["dewy.conf"]);
    for (const name of ["dewy.service", "dewy@shop.service"])
      await it.root.sh(`ln -s ${units}/${name.replace("shop", "")} ${wants}/${name}`);
    const removal = await it.install(["--uninstall"]);
    expect(removal).toMatchObject({ code: 0 });
    expect(removal.output).toContain(`removed ${wants}/dewy@shop.service\n`);
    expect(removal.output).toContain("left where it is: /var/lib/dewy-shop\n");
    expect(removal.output).not.toContain("left where it is: /etc/dewy\n");
    expect(
      (await it.root.sh("find / -xdev | sort | diff /tmp/before - | grep -v /tmp/before")).output,
    ).toMatch(/^\d+a\d+\n$|^$/);
    const again = await it.install(["--uninstall"]);
    expect(again).toMatchObject({ code: 0 });
    expect(again.output).toContain("there is no dewy in /usr/local/bin");
  });

  test("leaves a prefix that is empty after it", async () => {
    await using it = await Installation.open("debian");
    await it.root.sh("mkdir -p /opt/mine/bin");
    await it.install(["--prefix /opt/mine"]);
    expect(await it.install(["--prefix /opt/mine", "--uninstall"])).toMatchObject({ code: 0 });
    expect(it.root.names("/opt/mine")).toEqual(["bin"]);
    expect(it.root.names("/opt/mine/bin")).toEqual([]);
  });

  test("does not take units from under agents that run, or will again in a moment", async () => {
    await using it = await Installation.open("debian");
    fakeSystemctl(
      it.root,
      "dewy.service loaded active running\ndewy@shop.service loaded activating auto-restart",
    );
    await it.install(["--systemd"]);
    const removal = await it.install(["--uninstall"]);
    expect(removal.code).toBe(1);
    expect(removal.output).toContain("agents run by systemd: dewy.service dewy@shop.service\n");
    expect(removal.output).toContain("systemctl disable --now");
    expect(await it.version()).toBe("v1.2.3");
  });
});
