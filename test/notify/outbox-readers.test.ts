import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cursorKey } from "../../src/notify/cursor.ts";
import { filterOf } from "../../src/notify/filter.ts";
import { deployed, downloaded, drain, OutboxHost, readerOf } from "../support/outbox-host.ts";

const ops = readerOf("slack://ops");
const mail = readerOf("smtp://host/ops@example.com");
const errorsOnly = readerOf("slack://errors", filterOf({ on: ["error"], quiet: null }));
const day = 24 * 3_600_000;

describe("several notifiers", () => {
  test("each go their own way; a notice stays until all who want it had it", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [ops, mail, errorsOnly] });
    outbox.add(downloaded("v1"));
    outbox.add(deployed("v2"));
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
    expect(host.files()).toHaveLength(2);
    expect(drain(outbox, errorsOnly.key)).toEqual([]);
    expect(drain(outbox, mail.key)).toEqual(["v1", "v2"]);
    expect(host.files()).toEqual([]);
  });

  test("that are new begin with what comes from now on", () => {
    using host = new OutboxHost();
    host.open().add(downloaded("v1"));
    const outbox = host.open({ readers: [ops, mail] });
    outbox.add(downloaded("v2"));
    expect(drain(outbox, mail.key)).toEqual(["v2"]);
    expect(drain(outbox, ops.key)).toEqual(["v1", "v2"]);
  });

  test("that are away for a start get what was kept meanwhile", () => {
    using host = new OutboxHost();
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    const without = host.open();
    without.add(downloaded("v2"));
    expect(drain(without, ops.key)).toEqual(["v1", "v2"]);
    expect(drain(host.open({ readers: [ops, mail] }), mail.key)).toEqual(["v1", "v2"]);
  });

  test("that are away for a week keep nothing any more, counted from the first start without them", async () => {
    using host = new OutboxHost();
    // With nothing to take for months.
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    await host.clock.advance(90 * day);
    expect(drain(host.open(), ops.key)).toEqual(["v1"]);
    await host.clock.advance(6 * day);
    host.open();
    expect(host.files()).toHaveLength(1);
    await host.clock.advance(day + 1);
    host.open();
    expect(host.files()).toEqual([]);
    expect(readdirSync(host.path)).toEqual([`cursor-${ops.key}.json`]);
  });

  test("that are back within the week are away anew when they go again", async () => {
    using host = new OutboxHost();
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    for (const readers of [[ops], [ops, mail], [ops], [ops, mail]]) {
      await host.clock.advance(5 * day);
      host.open({ readers });
    }
    expect(drain(host.open({ readers: [ops, mail] }), mail.key)).toEqual(["v1"]);
  });

  test("that are away for a week while the agent runs keep nothing either", async () => {
    using host = new OutboxHost();
    host.open({ readers: [ops, mail] }).add(downloaded("v1"));
    const outbox = host.open();
    drain(outbox, ops.key);
    await host.clock.advance(7 * day + 1);
    outbox.add(downloaded("v2"));
    expect(host.files()).toHaveLength(1);
    expect(drain(outbox, ops.key)).toEqual(["v2"]);
  });

  test("that are known by a former key go on where they were", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    const first = outbox.next(ops.key);
    if (first !== null) outbox.done(ops.key, first);
    const renamed = { ...mail, formerKeys: [ops.key] };
    expect(drain(host.open({ readers: [renamed] }), mail.key)).toEqual(["v2"]);
    expect(readdirSync(host.path)).toEqual([`cursor-${mail.key}.json`]);
  });

  test("with cursors of an earlier dewy go on where they were", () => {
    using host = new OutboxHost();
    const outbox = host.open();
    for (const tag of ["v1", "v2"]) outbox.add(downloaded(tag));
    const [first = ""] = host.files();
    const sent = first.replace(".json", "");
    const file = join(host.path, `cursor-${ops.key}.json`);
    writeFileSync(file, JSON.stringify({ version: 1, sent, dropped: 0 }));
    expect(drain(host.open(), ops.key)).toEqual(["v2"]);
    expect(host.log.records).toEqual([]);
  });

  test("that are none leave no directory", () => {
    using host = new OutboxHost();
    const outbox = host.open({ readers: [] });
    outbox.add(deployed("v1"), { deploy: "d1" });
    expect(existsSync(host.path)).toBe(false);
    expect(outbox.hasTold("d1")).toBe(true);
  });

  test("are named in files by a hash: no secret of a URL can be read there", () => {
    using host = new OutboxHost();
    const url = "smtp://host/a@b.c?password=planted";
    const outbox = host.open({ readers: [readerOf(url)] });
    outbox.add(downloaded("v1"));
    drain(outbox, cursorKey(url));
    const [name = ""] = readdirSync(host.path);
    expect(name).toMatch(/^cursor-[0-9a-f]{16}\.json$/);
    expect(`${name}${readFileSync(join(host.path, name), "utf8")}`).not.toContain("planted");
    expect(cursorKey(url)).not.toBe(cursorKey(url.replace("planted", "another")));
  });
});
