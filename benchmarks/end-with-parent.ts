/**
 * Ends this process and its group when the process that started it is gone, killed included: its end of the pipe closes then.
 * For a process that leads a group of its own (`detached`) and has a pipe for its standard input.
 */
export function endWithParent(): void {
  process.stdin.on('close', () => process.kill(-process.pid, 'SIGKILL'));
  // Nothing is sent; only what is read is seen to end.
  process.stdin.resume();
  process.stdin.unref();
}
