import { access, constants, writeFile } from 'node:fs/promises';

/** Kubernetes keeps this many bytes of a container's termination message (Kubernetes documentation, "Determine the Reason for Pod Failure"). */
const LONGEST_BYTES = 4096;

/**
 * Leaves the last message where `kubectl describe pod` shows it. The file exists in a pod's container only; elsewhere
 * nothing is written.
 */
export async function writeTerminationMessage(file: string, message: string): Promise<void> {
  try {
    await access(file, constants.W_OK);
    await writeFile(file, Buffer.from(message, 'utf8').subarray(0, LONGEST_BYTES));
  } catch {
    // The file is absent or read-only: the message is in the log anyway.
  }
}
