import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { DewyError, messageOf } from "../errors.ts";

/**
 * The authorities to trust, as PEM: Bun's own, the system's, those of `SSL_CERT_FILE` and those of `caFile`, as
 * fetch has them. A `caFile` that can't be read or holds none is `config-invalid`.
 */
export function trustedRoots(caFile: string | null, sslCertFile: string | undefined): readonly string[] {
  const roots = [
    ...getCACertificates("bundled"),
    ...getCACertificates("system"),
    ...(sslCertFile === undefined || sslCertFile === "" ? [] : readLeniently(sslCertFile)),
    ...(caFile === null ? [] : readAuthorities(caFile)),
  ];
  return [...new Set(roots.map((pem) => pem.trim()))];
}

/** A context that trusts them, as the files are now: who makes one for each connection needs no restart for new ones. */
export function trustingContext(caFile: string | null, sslCertFile: string | undefined): SecureContext {
  return createSecureContext({ ca: [...trustedRoots(caFile, sslCertFile)] });
}

/** The HTTP client warns of a file it can't read; the other authorities may do. */
function readLeniently(path: string): readonly string[] {
  try {
    return certificatesIn(readFileSync(path, "latin1")).filter(isWhole);
  } catch {
    return [];
  }
}

function readAuthorities(path: string): readonly string[] {
  const found = read(path);
  if (found.length === 0) throw unusable(path, "holds no certificate");
  if (!found.every(isWhole)) throw unusable(path, "holds a damaged certificate");
  return found;
}

function read(path: string): readonly string[] {
  try {
    return certificatesIn(readFileSync(path, "latin1"));
  } catch (error) {
    throw unusable(path, `can't be read (${messageOf(error)})`);
  }
}

function certificatesIn(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** One that isn't would keep all the others from being used. */
function isWhole(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

function unusable(path: string, why: string): DewyError {
  return new DewyError("config-invalid", `ca=${path} ${why}`, {
    hint: "name a PEM file with the certificate of the authority that signed the server's",
  });
}
