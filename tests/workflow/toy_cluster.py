"""An executor that hands jobs out as a cluster's does: each in a Snakemake of its own, started far
from the one that plans. Here they are processes of this machine. Copied to where Snakemake looks.
"""

import subprocess

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False
)


class Executor(RemoteExecutor):
    """Starts each job at once."""

    def run_job(self, job):
        process = subprocess.Popen(self.format_job_exec(job), shell=True)
        self.report_job_submission(SubmittedJobInfo(job=job, aux={"process": process}))

    async def check_active_jobs(self, active_jobs):
        for submitted in active_jobs:
            code = submitted.aux["process"].poll()
            if code is None:
                yield submitted
            elif code:
                self.report_job_error(submitted)
            else:
                self.report_job_success(submitted)

    def cancel_jobs(self, active_jobs):
        for submitted in active_jobs:
            submitted.aux["process"].terminate()
