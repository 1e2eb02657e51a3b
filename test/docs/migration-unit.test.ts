import { expect, test } from "bun:test";
import { readPage } from "../support/docs-pages.ts";
import { freePort } from "../support/free-port.ts";
import { TestHost } from "../support/host.ts";
import { SystemdHost } from "../support/systemd-host.ts";
import { until } from "../support/until.ts";

/** As far as systemd sees the Go original: it never says that it is ready, and its end leaves the app behind. */
const original = "#!/bin/sh\nsleep 1000000 &\nexec sleep 2000000\n";
const originalApp = "sleep 1000000";

/** The blocks of migration.md that need a systemd: there, and the way back. */
const [there, back] = ["unit", "unit-back"].map(
  (name) => readPage("docs/migration.md").blocks.find(({ mark }) => mark?.text === name)?.text ?? "exit 1",
);

test("migration.md's changes of a unit lead from the original to this one, and back", async () => {
  await using source = new TestHost();
  source.publish("v1.0.0");
  const port = freePort();
  await using host = await SystemdHost.boot({
    "etc/systemd/system/dewy.service": unit(port),
    "opt/site/.keep": "",
  });
  host.copy(source.registry, "/srv/registry");
  const run = (script = "exit 1") => expect(host.run("sh", "-euc", script)).toMatchObject({ code: 0 });
  const apps = () => host.run("pgrep", "-fx", originalApp).output;
  const mainPid = () => Number(host.show("dewy", "MainPID")["MainPID"]);
  const serves = () => until("v1.0.0", async () => (await source.ask(port)).split(" ").at(2));

  host.write("/usr/local/bin/original", original);
  // What the host has from outside can't be renamed.
  run("cd /usr/local/bin && chmod 755 original && cp dewy new && umount dewy && mv original dewy");
  run("systemctl start dewy");
  await until("the original's app", () => apps() !== "");
  run("cd /usr/local/bin && mv dewy dewy.previous && mv new dewy");
  run(there);
  expect(apps()).toBe("");
  const [agent, app] = [mainPid(), await serves()];

  process.kill(host.outerPid(agent), "SIGKILL");
  await until("another agent", () => ![0, agent].includes(mainPid()));
  await until("it serves", () => host.systemctl("is-active", "dewy").code === 0);
  expect(await serves()).toBe(app);

  run(back);
  await until("the original's app", () => apps() !== "");
  expect(host.systemctl("is-active", "dewy").output).toBe("active");
  expect(host.run("kill", "-0", app ?? "").code).not.toBe(0);
}, 240_000);

/** What a reader may have: nothing but what the original needs. */
function unit(port: number): string {
  const flags = `--registry file:///srv/registry --interval 1s --min-uptime 300ms --no-report --port ${port}`;
  const app = "/usr/local/bin/bun ./current/app.ts";
  return `[Service]\nWorkingDirectory=/opt/site\nExecStart=/usr/local/bin/dewy server ${flags} -- ${app}\n`;
}
