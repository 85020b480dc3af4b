/** Forms that a run can be exported in. */
export const EXPORT_FORMATS = ['csv', 'bmf', 'github-action-benchmark', 'junit', 'markdown'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
