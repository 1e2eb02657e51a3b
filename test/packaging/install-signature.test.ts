import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { Installation } from "../support/installation.ts";
import { gone } from "../support/release-server.ts";

const signature = "SHA256SUMS.minisig";

/** The root's own minisign, with a key of its own; the public one as the second line of its file. */
async function signer(it: Installation): Promise<{ key: string; sign(tag: string): Promise<void> }> {
  const made = await it.root.sh(
    "mkdir -p /keys && minisign -G -W -p /keys/public -s /keys/secret && tail -n 1 /keys/public",
  );
  const url = it.server.url;
  return {
    key: made.output.trim().split("\n").at(-1) ?? "",
    async sign(tag) {
      const { code, output } = await it.root.sh(
        `cd /keys && curl -fsSo SHA256SUMS ${url}/download/${tag}/SHA256SUMS && minisign -S -s secret -m SHA256SUMS && cat ${signature}`,
      );
      expect({ code, output }).toMatchObject({ code: 0 });
      it.server.says(signature, () => new Response(output.slice(output.indexOf("untrusted comment"))));
    },
  };
}

describe("with minisign's key", () => {
  test("given as it is, or as a file, takes a release that it signed", async () => {
    await using it = await Installation.open("debian");
    const { key, sign } = await signer(it);
    await sign("v1.2.3");
    const byKey = await it.install(["--minisign-key", key]);
    expect(byKey).toMatchObject({ code: 0 });
    expect(byKey.output).toContain("signature: SHA256SUMS is signed by the minisign key that was given");
    it.publish("v1.3.0");
    await sign("v1.3.0");
    expect(await it.install([], { env: { DEWY_MINISIGN_KEY: "/keys/public" } })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.3.0");
  });

  test("takes no other release, whatever its sums say", async () => {
    await using it = await Installation.open("debian");
    const { key, sign } = await signer(it);
    await sign("v1.2.3");
    it.publish("v6.6.6"); // with sums of its own, and the signature of the other one
    const { code, output } = await it.install(["--minisign-key", key]);
    expect(code).toBe(1);
    expect(output).toContain("the signature SHA256SUMS.minisig is not by the key that was given");
    const another = await signer(it);
    await it.root.sh("rm -r /keys");
    const stranger = await signer(it);
    await stranger.sign("v6.6.6");
    expect(await it.install(["--minisign-key", another.key])).toMatchObject({ code: 1 });
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });

  test("takes none that is not signed, and none where minisign is not installed", async () => {
    await using it = await Installation.open("debian");
    const { key } = await signer(it);
    it.server.says(signature, gone);
    expect((await it.install(["--minisign-key", key])).output).toContain(
      "this release has no signature SHA256SUMS.minisig",
    );
    rmSync(it.root.path("/usr/bin/minisign"));
    expect((await it.install(["--minisign-key", key])).output).toContain("minisign is not installed");
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });
});

/** As the build does it. */
function stamp(it: Installation, name: string, key: string): void {
  it.server.says(
    "install.sh",
    (body) =>
      new Response(new TextDecoder().decode(body).replace(new RegExp(`^${name}=$`, "m"), `${name}=${key}`)),
  );
}

describe("with the publisher's key in the script", () => {
  test("a release is checked unasked where minisign is, and else said not to be", async () => {
    await using it = await Installation.open("debian");
    const { key, sign } = await signer(it);
    stamp(it, "minisign_public_key", key);
    const unsigned = await it.install();
    expect(unsigned.code).toBe(1);
    expect(unsigned.output).toContain("this release has no signature SHA256SUMS.minisig");
    await sign("v1.2.3");
    const signed = await it.install();
    expect(signed).toMatchObject({ code: 0 });
    expect(signed.output).toContain("signature: SHA256SUMS is signed by the minisign publisher's key");
    it.publish("v6.6.6"); // with the signature of the other one
    const forged = await it.install();
    expect(forged.code).toBe(1);
    expect(forged.output).toContain("is not by the publisher's key\ninstall: do not trust this release");
    rmSync(it.root.path("/usr/bin/minisign"));
    const unchecked = await it.install();
    expect(unchecked).toMatchObject({ code: 0 });
    expect(unchecked.output).toContain(
      "signature: not checked, as no tool for it is installed (minisign, or cosign 3)",
    );
  });

  test("one that can't be read is not called a forgery", async () => {
    await using it = await Installation.open("debian");
    const { sign } = await signer(it);
    await sign("v1.2.3");
    const { code, output } = await it.install(["--minisign-key planted"]);
    expect(code).toBe(1);
    expect(output).toContain("could not be checked by minisign");
    expect(output).not.toContain("do not trust");
  });
});

describe("with cosign's key", () => {
  /** Stands for cosign: says what the bundle says, and vouches if that is "good". */
  const cosign = (version: string) => `#!/bin/sh
[ "$1" != version ] || { echo 'GitVersion:    v${version}'; exit; }
[ "$1 $2 $4" = "verify-blob --key --bundle" ] && grep -q planted-key "$3" && grep -q dewy-linux "$6" || exit 5
cat "$5" >&2; grep -q good "$5"
`;
  async function withCosign(bundle: string, version = "3.1.3") {
    const it = await Installation.open("debian");
    writeFileSync(it.root.path("/usr/local/bin/cosign"), cosign(version), { mode: 0o755 });
    writeFileSync(it.root.path("/opt/cosign.pub"), "planted-key\n");
    it.server.says("SHA256SUMS.sigstore.json", () => new Response(bundle));
    return it;
  }

  test.each<[string, number, string]>([
    ["good", 0, "signature: SHA256SUMS is signed by the cosign key that was given"],
    [
      "Error: invalid signature when validating",
      1,
      "is not by the key that was given\ninstall: do not trust",
    ],
    ["Error: no route to the log", 1, "SHA256SUMS.sigstore.json could not be checked by cosign\n"],
  ])("cosign says %s: exit code %d", async (bundle, code, message) => {
    await using it = await withCosign(bundle);
    const { output, ...rest } = await it.install(["--cosign-key /opt/cosign.pub"]);
    expect({ ...rest, output }).toMatchObject({ code });
    expect(output).toContain(message);
    if (code !== 0) expect(output).toContain(`install: cosign: ${bundle}\n`);
    expect(it.root.names("/usr/local/bin")).toEqual(
      code === 0 ? [".dewy-installed", "cosign", "dewy"] : ["cosign"],
    );
  });

  test("one that is too old to read the bundle is not asked", async () => {
    await using it = await withCosign("good", "2.4.1");
    const { code, output } = await it.install(["--cosign-key /opt/cosign.pub"]);
    expect(code).toBe(1);
    expect(output).toContain("cosign 3 is not installed, and 2.4.1 is too old\n");
    stamp(it, "cosign_public_key", "planted-key");
    const unasked = await it.install();
    expect(unasked).toMatchObject({ code: 0 });
    expect(unasked.output).toContain("signature: not checked, as no tool for it is installed");
  });

  test("the publisher's is used unasked", async () => {
    await using it = await withCosign("good");
    stamp(it, "cosign_public_key", "planted-key");
    const { code, output } = await it.install();
    expect(output).toContain("signature: SHA256SUMS is signed by the cosign publisher's key");
    expect(code).toBe(0);
  });

  test("takes none where cosign is not installed, or nothing is signed", async () => {
    await using it = await Installation.open("debian");
    expect((await it.install(["--cosign-key /keys/x"])).output).toContain("cosign 3 is not installed\n");
    writeFileSync(it.root.path("/usr/local/bin/cosign"), cosign("3.1.3"), { mode: 0o755 });
    expect((await it.install(["--cosign-key /keys/x"])).output).toContain(
      "has no signature SHA256SUMS.sigstore.json",
    );
    expect(it.root.names("/usr/local/bin")).toEqual(["cosign"]);
  });
});
