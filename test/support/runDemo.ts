/** The demo as somebody at a terminal has it, in a process of its own, on the ports of the arguments: for demo.test.ts. */
import { demo } from '../../src/commands/demo.ts';
import { createRedactor } from '../../src/report/redact.ts';

const [coordinator = 0, first = 0, second = 0] = process.argv.slice(2).map(Number);
const controller = new AbortController();
process.on('SIGINT', () => controller.abort());
const surroundings = { stdout: process.stdout, interactive: true };
const options = { docker: false, ports: [coordinator, first, second] } as const;
process.exitCode = await demo(surroundings, createRedactor(), controller.signal, options);
