# Signs PowerShell in to Azure, or out again, as the file says; it is removed once it is read. What it does to sign in, and in which
# order, is that of Azure's task (InitializeAz.ps1 of AzurePowerShellV5 in azure-pipelines-tasks).
param([string] $file)
$ErrorActionPreference = 'Stop'
try {
    $connection = Get-Content -Raw -LiteralPath $file | ConvertFrom-Json
    Remove-Item -LiteralPath $file

    # Images of Azure's agents have each version of Az in a folder of its own, which is not among those of PowerShell.
    $folders = @(Get-ChildItem -Directory -Path '/usr/share/az_*' | Where-Object { $_.Name -match '^az_\d+\.\d+\.\d+$' } |
        Where-Object { !$connection.version -or $_.Name -eq "az_$($connection.version)" } |
        Sort-Object -Descending { [version] $_.Name.Substring(3) })
    if ($folders) {
        $env:PSModulePath = $folders[0].FullName + ':' + $env:PSModulePath
    }
    $accounts = @(Get-Module -Name Az.Accounts -ListAvailable | Sort-Object -Descending Version)
    if (!$accounts -and $connection.signOut) {
        return
    }
    if (!$accounts) {
        throw 'There is no module Az in the job''s image: give the job a container that has it, such as mcr.microsoft.com/azure-powershell'
    }
    if ($connection.version) {
        $bundles = @(Get-Module -Name Az -ListAvailable)
        $bundle = $bundles | Where-Object { $_.Version -eq $connection.version } | Select-Object -First 1
        if (!$bundle) {
            throw "There is no Az $($connection.version) in the job's image, which has $(@($bundles.Version) -join ', '): write azurePowerShellVersion: LatestVersion, or give the job a container of that version"
        }
        $root = Split-Path (Split-Path (Split-Path $bundle.Path))
        $accounts = @($accounts | Where-Object { (Split-Path (Split-Path (Split-Path $_.Path))) -eq $root })
    }
    Write-Host "##[command]Import-Module -Name $($accounts[0].Path) -Global"
    Import-Module -Name $accounts[0].Path -Global -Force

    if ($connection.signOut) {
        # Without a home folder for its contexts Az says that there is none, and then none is kept.
        $null = Clear-AzContext -Scope CurrentUser -Force -ErrorAction SilentlyContinue
        return
    }
    $null = Clear-AzContext -Scope Process -Force
    $null = Clear-AzContext -Scope CurrentUser -Force -ErrorAction SilentlyContinue
    if ($connection.azureRM -and (Get-Command -Name Enable-AzureRmAlias -ErrorAction SilentlyContinue)) {
        Write-Host '##[command]Enable-AzureRmAlias -Scope Process'
        Enable-AzureRmAlias -Scope Process
    }
    $parameters = @{ ServicePrincipal = $true; Tenant = $connection.tenant; Environment = $connection.environment; Scope = 'Process'; WarningAction = 'SilentlyContinue' }
    if ($connection.token) {
        $parameters.ApplicationId = $connection.application
        $parameters.FederatedToken = $connection.token
    }
    else {
        $parameters.Credential = [pscredential]::new($connection.application, (ConvertTo-SecureString $connection.key -AsPlainText -Force))
    }
    Write-Host "##[command]Connect-AzAccount -ServicePrincipal -Tenant $($connection.tenant) -Environment $($connection.environment) -Scope Process"
    $null = Connect-AzAccount @parameters
    if ($connection.subscription) {
        Write-Host "##[command]Set-AzContext -SubscriptionId $($connection.subscription) -TenantId $($connection.tenant)"
        $null = Set-AzContext -SubscriptionId $connection.subscription -TenantId $connection.tenant
    }
}
catch {
    $message = $_.Exception.Message -replace '%', '%AZP25' -replace '\r', '%0D' -replace '\n', '%0A'
    $issue = if ($connection.signOut) { '' } else { '##vso[task.logissue type=error]' }
    Write-Host "$issue$message"
    exit 1
}
