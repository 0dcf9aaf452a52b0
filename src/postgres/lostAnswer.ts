import type { Socket } from 'node:net';
import type { Activity } from './activity.ts';

/** A large message goes out over a slow network meanwhile, and the server waits for the rest of it: ten minutes, usually. */
const MOST_LOOKS = 20;

/**
 * Tells, look by look, whether a server that owes an answer has nothing left to do: it waits for this program, since the look
 * before as well, and nothing has moved in either direction. Something on the way has swallowed what one of them sent.
 */
export function newLostAnswer(
  tcp: Pick<Socket, 'bytesRead' | 'bytesWritten' | 'writableLength'>,
): (seen: Pick<Activity, 'client'>) => boolean {
  let before: { readonly client: string; readonly moved: number } | undefined;
  let looks = 0;
  return ({ client }) => {
    looks = client !== null && client === before?.client ? looks + 1 : 0;
    const moved = tcp.bytesRead + tcp.bytesWritten;
    const still = looks > 0 && before?.moved === moved && tcp.writableLength === 0;
    before = client === null ? undefined : { client, moved };
    // Rows that the server cannot get rid of may rightly take long; what it reads has an end.
    return still || (looks >= MOST_LOOKS && client?.startsWith('ClientRead') === true);
  };
}
